"""Bundles of schema 1 (0.1.0's first exports), read as if they were of schema 2.

There a plan's entry said only that it was one; its role follows from the graph that it names.
"""

from __future__ import annotations

from typing import Any

from maclip_runtime.errors import BundleError

_ROLES = {
    "image_encoder": "image_encoder",
    "text_encoder": "text_encoder",
    "prompts": "prompts",
    "frame": "frame_graph",
    "dense_frame": "dense_frame_graph",
    "score": "score_graph",
}
_WITHOUT_VIEWS = ("text_encoder", "prompts")


def upgrade_schema_1(data: dict[str, Any]) -> dict[str, Any]:
    """The same manifest as schema 2 writes it; what is not understood stays for the parser to refuse."""
    try:
        files = {file["path"]: file for file in data["files"]}
        head = data["method"]["head"]
        return {
            **data,
            "schema": 2,
            "method": {
                **data["method"],
                "head": {
                    "alpha": head["alpha"],
                    "similarity": {"base": head["similarity_base"]},
                    "magnitude": {
                        "base": head["magnitude_base"],
                        "boxcox_lambda": head["boxcox_lambda"],
                    },
                },
            },
            "files": [_upgrade_file(file, files) for file in data["files"]],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(
            f"its files or method are not those of schema 1 ({error!r:.60})",
            "export the bundle again",
        ) from None


def _upgrade_file(file: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in file.items() if k not in ("kind", "ranking", "wide_nodes")}
    kind = files[file["plan"]["graph"]]["kind"] if file["kind"] == "plan" else file["kind"]
    role = _ROLES[kind]
    mode = "dense" if role == "dense_frame_graph" else "exact"
    return {
        **kept,
        "role": role,
        "view_mode": None if role in _WITHOUT_VIEWS else mode,
        "chunked": "views" in file.get("inputs", {}),
        "agreement": file.get("ranking"),
        "float32_nodes": file.get("wide_nodes", {}),
    }
