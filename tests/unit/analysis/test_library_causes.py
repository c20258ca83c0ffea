"""Known causes of certain libraries: what each looks like, in which versions, and what not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from made_findings import attributed, finding, found, place

from leakhunt.analysis.attribution.known_causes import (
    catalogue,
    causes_for,
    concerns,
    known_cause,
    matches,
)
from leakhunt.environment import _PACKAGES
from leakhunt.model.attribution import Cause, Finding, FindingKind, Instrument
from leakhunt.model.libraries import (
    DISTRIBUTIONS,
    LIBRARIES,
    NONE_INSTALLED,
    libraries_fact,
    library_versions,
)
from leakhunt.model.run import Run

ORT = "onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so:<stripped>:"
ORT_PY = "onnxruntime/capi/onnxruntime_inference_collection.py"
BPE = (
    "tokenizers.abi3.so:_RNvMs5_NtNtNtCscxzlFi8rOL3_10tokenizers6models3bpe5modelNtB5_3BPE"
    "10merge_word:",
    "tokenizers.abi3.so:_RINvMs2_NtNtCsgHYyB3hU8Ec_3std6thread5localINtB6_8LocalKeyE4withNCNvMs5_"
    "NtB2Y_5modelNtB44_3BPE19tokenize_with_cache0E:",
    "transformers/tokenization_utils_tokenizers.py:_encode_plus:encodings = self._tokenizer.encode",
)
KINETO = "torch::autograd::profiler::disableProfiler()"
CONTAINER, RESOURCE = FindingKind.CONTAINER, FindingKind.RESOURCE


def held(*chain: str, what: str = "dict", items: tuple[str, ...] = ()) -> Finding:
    """Items of a container that grows, by its reference chain."""
    return found(sort=CONTAINER, what=what, chain=chain, items=list(items))


def opened(*stack: str, what: str) -> Finding:
    """A descriptor, a thread or a process that is left."""
    return found(*stack, sort=RESOURCE, what=what)


# By the cause: what an instrument finds, as the library itself shows it.
SHOWN: Mapping[str, Finding] = {
    "onnxruntime-session-per-call": found(
        "libstdc++.so.6:operator new(unsigned long):",
        ORT,
        f"{ORT_PY}:_create_inference_session:sess.initialize_session(providers, provider_options)",
        f"{ORT_PY}:__init__:self._create_inference_session(providers, provider_options)",
    ),
    "onnxruntime-memory-patterns": found(
        "operator new(unsigned long)",
        "onnxruntime::OrtValuePatternPlanner::GeneratePatterns(onnxruntime::MemoryPatternGroup&)",
        "onnxruntime::ExecutionFrame::GeneratePatterns(onnxruntime::MemoryPatternGroup&) const",
    ),
    "onnxruntime-arena": found(
        "posix_memalign",
        "onnxruntime::BFCArena::Extend(unsigned long)",
        "onnxruntime::BFCArena::AllocateRawInternal(unsigned long, bool)",
    ),
    "onnxruntime-shapes": found(
        "libstdc++.so.6:operator new(unsigned long):",
        ORT,
        f"{ORT_PY}:run:return self._sess.run(output_names, input_feed, run_options)",
    ),
    "torchscript-profiling": found(
        "operator new(unsigned long)",
        "torch::jit::ProfilingGraphExecutorImpl::getOptimizedPlanFor(std::vector<c10::IValue>&)",
        "torch::jit::GraphExecutorImplBase::run(std::vector<c10::IValue>&)",
    ),
    "cudagraphs-per-shape": found(
        "torch/_inductor/cudagraph_trees.py:record_function:node = CUDAGraphNode(",
        "torch/_inductor/cudagraph_trees.py:_run:out = self.record_function(new_inputs, id)",
    ),
    "compiled-models-kept": held(
        "State.kept", "list", "torch._dynamo.eval_frame.OptimizedModule", what="list"
    ),
    "tensorflow-retracing": found(
        "tensorflow/python/framework/func_graph.py:func_graph_from_py_func:func_graph = FuncGraph(",
        "tensorflow/python/eager/polymorphic_function/tracing_compilation.py:"
        "_create_concrete_function:traced_func_graph = func_graph_from_py_func(",
    ),
    "jax-compilation-cache": found(
        "jax/_src/compiler.py:backend_compile_and_load:return backend.compile_and_load(",
        "jax/_src/compiler.py:compile_or_get_cached:return backend_compile_and_load(",
    ),
    "numba-functions-per-call": found(
        "llvmlite/binding/ffi.py:__call__:return self._cfn(*args, **kwargs)",
        "llvmlite/binding/executionengine.py:finalize_object:ffi.lib.LLVMPY_FinalizeObject(self)",
        "numba/core/dispatcher.py:compile:cres = self._compiler.compile(args, return_type)",
    ),
    "tokenizers-long-words": found(*BPE),
    "tokenizers-cache": found(*BPE),
    "spacy-vocabulary": found(
        "strings.cpython-311-x86_64-linux-gnu.so:"
        "__pyx_f_5spacy_7strings_11StringStore__intern_utf8(char*, int, unsigned long*, int):",
        "spacy/language.py:make_doc:return self.tokenizer(text)",
    ),
    "phonemizer-backends": found(
        "phonemizer/backend/espeak/api.py:__init__:self._library = ctypes.cdll.LoadLibrary(copy)",
        "phonemizer/backend/espeak/wrapper.py:__init__:self._espeak = EspeakAPI(self.library())",
    ),
    "pyav-containers": found(
        "libavformat-4639def2.so.62.12.102:avformat_open_input:",
        "src/av/container/core.c:__pyx_pf_2av_9container_4core_9Container___cinit__:",
        "src/av/container/core.c:__pyx_pw_2av_9container_4core_1open:",
    ),
    "opencv-captures": held("State.kept", "list", "cv2.VideoCapture", what="list"),
    "kv-cache-kept": found(
        "c10::alloc_cpu(unsigned long)",
        "at::native::cat_cpu(at::ITensorListRef const&, long)",
        "transformers/cache_utils.py:update:self.keys = torch.cat([self.keys, key_states], -2)",
    ),
    "peft-adapters": found(
        "c10::alloc_cpu(unsigned long)",
        "peft/peft_model.py:load_adapter:self.add_adapter(adapter_name, peft_config)",
    ),
    "torch-profiles-kept": found(
        "libstdc++.so.6:operator new(unsigned long):",
        "libtorch_cpu.so:libkineto::ActivityProfilerController::stopTrace():",
        KINETO,
        "torch/autograd/profiler.py:__exit__:self.kineto_results = _disable_profiler()",
    ),
    "dataloader-workers": opened(
        "multiprocessing/popen_fork.py:_launch:self.pid = os.fork()",
        "torch/utils/data/dataloader.py:__init__:w.start()",
        what="child process",
    ),
    "cuda-ipc": found(
        "torch/multiprocessing/reductions.py:reduce_tensor:) = storage._share_cuda_()",
    ),
    "pinned-memory": found(
        "cudaHostAlloc",
        "at::CachingHostAllocatorImpl<c10::cuda::CUDAStream>::allocate(unsigned long)",
        "service.py:handle:batch.pin_memory()",
    ),
    "openmp-teams": found(
        "malloc", "libgomp.so.1:gomp_new_team:", "libgomp.so.1:GOMP_parallel:", "at::native::add()"
    ),
    "gradio-queue": held(
        "gradio.blocks.Blocks._queue.event_ids_to_events",
        "dict",
        "gradio.queueing.Event",
        items=("gradio.queueing.Event",),
    ),
    "gradio-session-state": held(
        "gradio.routes.App.state_holder.session_data",
        "collections.OrderedDict",
        what="collections.OrderedDict",
        items=("gradio.state_holder.SessionState",),
    ),
    "anyio-worker-threads": opened(
        "threading.py:start:_start_new_thread(self._bootstrap, ())",
        "anyio/_backends/_asyncio.py:run_sync_in_worker_thread:worker.start()",
        what="thread",
    ),
    "sentry-open-spans": found(
        "sentry_sdk/tracing.py:start_child:child = Span(",
        "sentry_sdk/integrations/opentelemetry/span_processor.py:on_start:"
        "sentry_span = sentry_parent_span.start_child(",
    ),
    "sentry-event-processors": held(
        "sentry_sdk.scope.global_event_processors", "list", what="list", items=("function",)
    ),
    "opentelemetry-attributes": found(
        "opentelemetry/sdk/metrics/_internal/aggregation.py:_create_aggregation:return _Sum(",
        "opentelemetry/sdk/metrics/_internal/_view_instrument_match.py:consume_measurement:"
        "aggregation = self._get_or_create_aggregation(aggr_key, attributes)",
    ),
    "ddtrace-open-spans": found(
        "ddtrace/_trace/processor/__init__.py:on_span_start:trace.spans.append(span)",
        "ddtrace/_trace/tracer.py:start_span:p.on_span_start(span)",
    ),
    "prometheus-labels": found(
        "prometheus_client/metrics.py:__init__:self._metric_init()",
        "prometheus_client/metrics.py:labels:self._metrics[labelvalues] = self.__class__(",
    ),
    "loguru-handlers": found("loguru/_logger.py:add:handler = Handler("),
    "boto3-session-per-call": found(
        "json/decoder.py:raw_decode:obj, end = self.scan_once(s, idx)",
        "botocore/loaders.py:load_data:found = self.file_loader.load_file(possible_path)",
        "boto3/session.py:client:return self._session.create_client(",
    ),
    "google-api-services": found(
        "googleapiclient/discovery.py:createMethod:def method(self, **kwargs):",
        "googleapiclient/discovery.py:build:service = build_from_document(",
    ),
    "grpc-channels-without-close": found(
        "grpc/_channel.py:__init__:self._channel = cygrpc.Channel(",
        "grpc/__init__.py:insecure_channel:return _channel.Channel(",
    ),
    "grpc-channel-per-call": found(
        "grpc/_channel.py:__init__:self._channel = cygrpc.Channel(",
        "grpc/__init__.py:insecure_channel:return _channel.Channel(",
    ),
    "sqlalchemy-engine-per-call": found(
        "sqlalchemy/engine/default.py:__init__:self.compiled_cache = util.LRUCache(500)",
        "sqlalchemy/engine/create.py:create_engine:engine = engineclass(pool, dialect, u)",
    ),
    "django-query-log": found(
        "django/db/backends/utils.py:debug_sql:self.db.queries_log.append(",
        "django/db/backends/utils.py:execute:with self.debug_sql(sql, params):",
    ),
    "mongo-client-per-call": opened(
        "threading.py:start:_start_new_thread(self._bootstrap, ())",
        "pymongo/periodic_executor.py:open:thread.start()",
        "pymongo/synchronous/topology.py:open:self._ensure_opened()",
        what="thread",
    ),
    "redis-pubsub": held("State.kept", "list", "redis.client.PubSub", what="list"),
    "celery-results": held(
        "State.app.backend._pending_results", "dict", "celery.result.AsyncResult"
    ),
    "kafka-delivery-reports": found(
        "librdkafka-0cb94173.so.1:rd_kafka_msg_new0:", "librdkafka-0cb94173.so.1:rd_kafka_producev:"
    ),
    "langgraph-checkpoints": found(
        "langgraph/checkpoint/memory/__init__.py:put:"
        "self.storage[thread_id][checkpoint_ns].update(",
    ),
    "pydantic-models-per-call": found(
        "pydantic/_internal/_model_construction.py:complete_model_class:"
        "cls.__pydantic_validator__ = create_schema_validator(",
        "pydantic/main.py:create_model:return types.new_class(",
    ),
    "pydantic-adapters-per-call": found(
        "pydantic/type_adapter.py:_init_core_attrs:self.validator = create_schema_validator(",
        "pydantic/type_adapter.py:__init__:self._init_core_attrs(",
    ),
    "marshmallow-schemas": held("marshmallow.class_registry._registry", "dict", "list"),
    "ctypes-types": held("ctypes._pointer_type_cache", "dict", items=("_ctypes.PyCArrayType",)),
    "linecache-entries": held("linecache.cache", "dict", "tuple"),
    "process-pools": opened(
        "multiprocessing/popen_fork.py:_launch:self.pid = os.fork()",
        "multiprocessing/pool.py:_repopulate_pool_static:w.start()",
        what="child process",
    ),
}
# Two of one library that look the same: the version tells which it is.
OLD = {"tokenizers-long-words": "tokenizers 0.20.3", "grpc-channels-without-close": "grpcio 1.29.0"}
NEW = {"tokenizers-cache": "tokenizers 0.21.0", "grpc-channel-per-call": "grpcio 1.30.0"}

# The same libraries at work, where something else keeps the memory.
NOT_SHOWN: Mapping[str, Finding] = {
    "onnxruntime-session-per-call": found(f"{ORT_PY}:get_inputs:return self._inputs_meta"),
    "onnxruntime-memory-patterns": found("onnxruntime::ExecutionFrame::ExecutionFrame()"),
    "onnxruntime-arena": found("onnxruntime::InferenceSession::Run(onnxruntime::RunOptions&)"),
    "onnxruntime-shapes": found(f"{ORT_PY}:run:feed = {{name: array.copy()}}"),
    "torchscript-profiling": found("torch::jit::ProfilingGraphExecutorImpl::run(std::vector&)"),
    "cudagraphs-per-shape": found("torch/_inductor/cudagraph_trees.py:_run:return self.execute()"),
    "compiled-models-kept": held("State.kept", "list", "torch.nn.modules.linear.Linear"),
    "tensorflow-retracing": found(
        "tensorflow/python/eager/polymorphic_function/polymorphic_function.py:__call__:x"
    ),
    "jax-compilation-cache": found("jax/_src/pjit.py:cache_miss:outs = _python_pjit_helper()"),
    "numba-functions-per-call": found("numba/np/arrayobj.py:impl:return array"),
    "tokenizers-long-words": found(
        "tokenizers.abi3.so:_RNvMs0_10tokenizers13pre_tokenizer18PreTokenizedString13into_encoding:"
    ),
    "tokenizers-cache": found(
        "tokenizers.abi3.so:_RNvMs0_10tokenizers13pre_tokenizer18PreTokenizedString13into_encoding:"
    ),
    "spacy-vocabulary": found("doc.so:__pyx_pw_5spacy_6tokens_3doc_3Doc_1__cinit__:"),
    "phonemizer-backends": found("phonemizer/backend/espeak/espeak.py:_phonemize_aux:x"),
    "pyav-containers": found("libavformat-4762a711.so.62:avformat_open_input:", "cv2.abi3.so:x:"),
    "opencv-captures": held("State.kept", "list", "numpy.ndarray", what="list"),
    "kv-cache-kept": found("transformers/generation/utils.py:generate:result = self._sample()"),
    "peft-adapters": found("peft/peft_model.py:forward:return self.base_model(*args)"),
    "torch-profiles-kept": found("torch/autograd/profiler.py:__enter__:self._prepare_trace()"),
    "dataloader-workers": opened("multiprocessing/process.py:start:x", what="child process"),
    "cuda-ipc": found("torch/multiprocessing/reductions.py:reduce_tensor:storage._share_fd_cpu_()"),
    "pinned-memory": found("c10::alloc_cpu(unsigned long)", "at::detail::empty_cpu()"),
    "openmp-teams": found("c10::alloc_cpu(unsigned long)", "libgomp.so.1:GOMP_parallel:"),
    "gradio-queue": held("gradio.blocks.Blocks.fns", "dict", "gradio.blocks.BlockFunction"),
    "gradio-session-state": held("gradio.blocks.Blocks.blocks", "dict", "gradio.components.Row"),
    "anyio-worker-threads": opened("service.py:f:threading.Thread().start()", what="thread"),
    "sentry-open-spans": found("sentry_sdk/integrations/asgi.py:_run_app:return await app()"),
    "sentry-event-processors": held("sentry_sdk.scope._global_scope._breadcrumbs", "deque"),
    "opentelemetry-attributes": found("opentelemetry/sdk/metrics/_internal/export/__init__.py:x:y"),
    "ddtrace-open-spans": found("ddtrace/_trace/tracer.py:wrapper:return f(*args)"),
    "prometheus-labels": found("prometheus_client/metrics.py:inc:self._value.inc(amount)"),
    "loguru-handlers": found("loguru/_logger.py:info:self._log(level, message)"),
    "boto3-session-per-call": found("botocore/client.py:_make_api_call:return parsed_response"),
    "google-api-services": found("googleapiclient/http.py:execute:return self.postproc(resp)"),
    "grpc-channels-without-close": found("grpc/_channel.py:__call__:return _end_unary_response()"),
    "grpc-channel-per-call": found("grpc/_channel.py:__call__:return _end_unary_response()"),
    "sqlalchemy-engine-per-call": found("sqlalchemy/orm/session.py:execute:return result"),
    "django-query-log": found("django/db/backends/utils.py:execute:return self.cursor.execute()"),
    "mongo-client-per-call": found(
        "pymongo/synchronous/cursor.py:next:return self._data.popleft()"
    ),
    "redis-pubsub": held("State.kept", "list", "redis.client.Redis", what="list"),
    "celery-results": held("State.app.tasks", "dict", "celery.app.task.Task"),
    "kafka-delivery-reports": found("librdkafka-0cb94173.so.1:rd_kafka_consumer_poll:"),
    "langgraph-checkpoints": found("langgraph/pregel/main.py:invoke:return output"),
    "pydantic-models-per-call": found("pydantic/main.py:model_validate:return validated"),
    "pydantic-adapters-per-call": found("pydantic/type_adapter.py:validate_python:return value"),
    "marshmallow-schemas": held("marshmallow.fields._kept", "dict", "list"),
    "ctypes-types": held("State.kept", "list", "ctypes.c_ubyte_Array_4", what="list"),
    "linecache-entries": held("service.linecache", "dict", "tuple"),
    "process-pools": opened("multiprocessing/process.py:start:x", what="child process"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_library_shows_is_known(name: str) -> None:
    version = OLD.get(name) or NEW.get(name)
    causes = causes_for({LIBRARIES: version} if version else {})
    cause = known_cause([SHOWN[name]], causes)
    assert cause is not None and cause.id == name


@pytest.mark.parametrize("name", SHOWN)
def test_no_other_library_is_named(name: str) -> None:
    version = OLD.get(name) or NEW.get(name)
    causes = causes_for({LIBRARIES: version} if version else {})
    named = {cause.id for cause in causes if cause.id in SHOWN and matches(SHOWN[name], cause)}
    assert named == {name}


@pytest.mark.parametrize("name", SHOWN)
def test_a_library_at_work_is_no_cause(name: str) -> None:
    (cause,) = (cause for cause in catalogue() if cause.id == name)
    assert not matches(NOT_SHOWN[name], cause)


def libraries_of(cause: Cause) -> set[str]:
    """What a cause names versions of; the interpreter is no library."""
    names = {each.partition("<")[0].partition(">")[0] for each in cause.distributions}
    return names - {"python"}


def test_each_cause_of_a_library_is_tried() -> None:
    of_libraries = {cause.id for cause in catalogue() if libraries_of(cause)}
    assert of_libraries <= set(SHOWN) == set(NOT_SHOWN)
    assert len(SHOWN) >= 40


def test_versions_of_what_causes_name_are_recorded() -> None:
    named = {name for cause in catalogue() for name in libraries_of(cause)}
    assert named <= {*DISTRIBUTIONS, *_PACKAGES}
    assert set(DISTRIBUTIONS) <= named


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ("gradio 6.12.0", True),
        ("gradio 6.24.9", True),
        ("gradio 6.25.0rc1", False),
        ("gradio 6.25.0", False),
        ("gradio 6.31.0", False),
        ("numba 0.61.0", True),
        (NONE_INSTALLED, True),
    ],
)
def test_a_cause_concerns_certain_versions(versions: str, expected: bool) -> None:
    causes = causes_for({LIBRARIES: versions})
    assert any(cause.id == "gradio-queue" for cause in causes) is expected


def test_one_of_several_distributions_is_enough() -> None:
    (cause,) = (cause for cause in catalogue() if cause.id == "onnxruntime-arena")
    cause = replace(cause, distributions=("onnxruntime>=1.24", "onnxruntime-gpu>=1.24"))
    assert concerns(cause, {"onnxruntime-gpu": "1.24.1"})
    assert not concerns(cause, {"onnxruntime-gpu": "1.23.2"})
    assert concerns(cause, {"onnxruntime": "1.23", "onnxruntime-gpu": "1.24"})


def test_a_name_is_the_same_however_it_is_written() -> None:
    (cause,) = (cause for cause in catalogue() if cause.id == "opentelemetry-attributes")
    cause = replace(cause, distributions=("OpenTelemetry_SDK>=2",))
    assert not concerns(cause, {"opentelemetry-sdk": "1.45"})


def test_versions_are_read_back_as_they_were_recorded() -> None:
    versions = {"gradio": "6.12.0", "tokenizers": "0.20.3"}
    environment = {"python": "CPython 3.11.9", "torch": "2.11.0+cu130"}
    read = library_versions({**environment, LIBRARIES: libraries_fact(versions)})
    assert versions.items() <= read.items()
    assert (read["python"], read["torch"]) == ("3.11.9", "2.11.0+cu130")
    assert NONE_INSTALLED not in library_versions({LIBRARIES: libraries_fact({})})


def test_the_version_of_the_run_decides(leaking: Run) -> None:
    stack = [place("grpc/_channel.py:__init__:self._channel = cygrpc.Channel(")]
    site = finding(stack=stack, instrument=Instrument.MEMRAY)
    for version, name in (
        ("1.29.0", "grpc-channels-without-close"),
        ("1.85.3", "grpc-channel-per-call"),
    ):
        run = replace(leaking, environment={LIBRARIES: f"grpcio {version}"})
        cause = attributed(run, site).suspects[0].cause
        assert cause is not None and cause.id == name


def test_a_cache_is_no_cause_of_what_a_container_holds(leaking: Run) -> None:
    stack = [place(each) for each in BPE]
    site = finding(stack=stack, instrument=Instrument.MEMRAY, key="1")
    holder = finding(
        sort=CONTAINER, what="list", instrument=Instrument.MEMRAY, keeps=("1",),
        chain=("State.kept", "list", "tokenizers.Encoding"),
    )  # fmt: skip
    alone = attributed(leaking, site).suspects[0].cause
    assert alone is not None and alone.id == "tokenizers-cache"
    kept = attributed(leaking, site, holder).suspects[0].cause
    assert kept is not None and kept.id == "unbounded-list"
