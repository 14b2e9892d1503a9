"""Orchestration only: each task is one service call, and nothing but ids travels between them.

Prefect reads its settings when it is first imported, so they are laid down here, before any flow can be.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from pigeonry.config import default_path

_SETTINGS = {
    # A fresh home migrates Prefect's database first; on a busy machine the default of 20 s is too short.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # How often a worker asks for runs: somebody may be waiting for what a webhook started.
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    # Results and parameters are shown in the UI and kept on disk: only ids may be in them.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    # litellm looks for its price list outside unless it is told not to.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
_IN_PROCESS = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}
_THE_USERS = frozenset(os.environ)


def environment(home: Path) -> dict[str, str]:
    """Prefect's settings for a home folder: its database and files stay inside, nothing is reported.

    What the user has set in the environment wins.
    """
    wanted = _SETTINGS | {"PREFECT_HOME": str(home / "prefect")}
    return {name: value for name, value in wanted.items() if name not in _THE_USERS}


def settle(home: Path) -> None:
    """Use these settings in this process. Call it before the first import of a flow."""
    quiet = {name: value for name, value in _IN_PROCESS.items() if name not in _THE_USERS}
    os.environ.update(environment(home) | quiet)


settle(default_path())
# Prefect makes its home at import, but not the folders above it; flows.tasks does that, so that nothing is
# made where flows are only looked at.
warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")
