"""Measuring in this process: cheap, and open to whatever else goes on in it.

Nothing is started, limited or watched. What other threads, tests and plugins keep shows as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from leakhunt.analysis.verdict.schedule import next_phase
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome, Phase
from leakhunt.runner.memory_limit import NoLimit
from leakhunt.runner.supervisor import BY_THE_USER, header_of
from leakhunt.storage import run_file, run_writer
from leakhunt.worker.description import describe_process
from leakhunt.worker.loop import Body, Stop, carry_out, describe
from leakhunt.worker.protocol import Order


def measure_here(plan: Plan, order: Order, body: Body, facts: Mapping[str, str]) -> None:
    """Carry out a plan in this process; its run file is whole when this returns or raises.

    Raises:
        CannotWrite: the disk does not take the run file.
        BaseException: whatever the body raises.
    """
    described = describe_process(plan.device, order.inputs, os.environ)
    header = header_of(plan, NoLimit(), facts, described)
    run_writer.create(order.run_file, header)
    started = time.monotonic()
    outcome = Outcome(Ending.OK)
    appender = run_writer.Appender(order.run_file)
    try:
        carry_out(order, body, lambda: _next(order), appender, Stop())
    except KeyboardInterrupt:
        outcome = Outcome(Ending.INTERRUPTED, BY_THE_USER)
        raise
    except BaseException as error:  # the body's code may raise anything: it is told, not hidden
        outcome = Outcome(Ending.CRASHED, describe(error))
        raise
    finally:
        appender.close()
        run_writer.finish(order.run_file, outcome, time.monotonic() - started)


def _next(order: Order) -> Phase | None:
    return next_phase(run_file.load(order.run_file))
