"""Whether a plan can run here: it is tied to a graph, a library version and a kind of GPU."""

from __future__ import annotations

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.engines.driver import Gpu


def check_compatibility(plan: PlanOrigin, bundle: Bundle, version: str, gpu: Gpu) -> str | None:
    """Why a plan cannot run with this library version on this GPU; None if it can."""
    graphs = {file.path: file.sha256 for file in bundle.manifest.files}
    if graphs.get(plan.graph) != plan.graph_sha256:
        return f"it was built from another {plan.graph}"
    same_major = plan.version.split(".")[0] == version.split(".")[0]
    if plan.version != version and not (plan.version_compatible and same_major):
        return f"it was built by {plan.library} {plan.version}, and {version} is installed"
    capability = gpu.compute_capability
    if not plan.compute_capabilities:
        if int(capability) < 80:
            return f"it is portable from compute capability 8.0 on, and {gpu.name} has less"
    elif capability not in plan.compute_capabilities:
        built_for = ", ".join(plan.compute_capabilities)
        return f"it was built for compute capability {built_for}, and {gpu.name} has {capability}"
    if plan.library == "tensorrt" and plan.device != gpu.name:
        return f"it was built on {plan.device}, and this is {gpu.name}"
    return None
