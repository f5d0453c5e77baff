"""Words that files and programs share."""

from __future__ import annotations


class AssetTypes:
    """Types of data and models."""

    URI_FILE = "uri_file"
    URI_FOLDER = "uri_folder"
    MLTABLE = "mltable"
    CUSTOM_MODEL = "custom_model"
    MLFLOW_MODEL = "mlflow_model"
    TRITON_MODEL = "triton_model"


class InputOutputModes:
    """How data reaches a command and how it is taken away; all are private copies at a path here."""

    MOUNT = "mount"
    DOWNLOAD = "download"
    UPLOAD = "upload"
    RO_MOUNT = "ro_mount"
    RW_MOUNT = "rw_mount"
    EVAL_MOUNT = "eval_mount"
    EVAL_DOWNLOAD = "eval_download"
    DIRECT = "direct"


class TimeZone:
    """Some time zones; any Windows or IANA name will do."""

    UTC = "UTC"
    CENTRAL_EUROPEAN_STANDARD_TIME = "Central European Standard Time"
    EASTERN_STANDARD_TIME = "Eastern Standard Time"
    PACIFIC_STANDARD_TIME = "Pacific Standard Time"


class BatchDeploymentOutputAction:
    """What becomes of the rows that a batch deployment's script returns."""

    APPEND_ROW = "append_row"
    SUMMARY_ONLY = "summary_only"
