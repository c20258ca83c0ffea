"""Leak detectors by one protocol, for ``leakhunt benchmark``.

An adapter is a command. On standard input it gets JSON: ``{"workload": PATH, "function": "call",
"calls": N}``, in a folder of its own; on standard output its last line is JSON: ``{"leak": true |
false, "finding": TEXT, "names": true | false}``. `finding` is its first finding with the stack;
``names`` false: the tool points to no function. Each built-in one turns what its tool shows into
yes or no by the rule that stands in its docstring, and by nothing else.
"""
