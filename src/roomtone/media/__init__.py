"""The façade over the engine: typed commands, events and questions; the only importer of ``roomtone._core``."""
