"""Research questions on top of ``interp_steer``, one a file: ``(run) -> AnalysisResult``.

Each reads a run directory and needs neither torch nor a model. What they share lies beside them, in files
named after what they hold: ``gram``, ``resampling``, ``spectrum``, ``probe``, ``truth``, ``selectors``,
``artifacts``, ``measure`` and ``command``.
"""
