"""What a schema can't say: a valid cursor is one that the list gave out, and a position that is waited for is one that was accepted."""

import json
import os

import schemathesis
from schemathesis import GenerationMode

REAL = json.loads(os.environ["DUET_REAL"])


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    operation = case.operation.definition.raw["operationId"]
    in_body = isinstance(case.body, dict) and "up_to" in case.body
    if case.query and "cursor" in case.query:
        case.query["cursor"] = REAL["cursors"][operation]
    elif in_body:
        case.body["up_to"] = REAL["cursors"]["listNotifications"]
    else:
        in_body = None
    # Notification's cursors are of one user's list.
    if in_body is not None and case.path_parameters and operation in ("listNotifications", "markRead"):
        case.path_parameters["user"] = REAL["owner"]
    if case.headers and "Duet-Position" in case.headers:
        case.headers["Duet-Position"] = REAL["position"]
