"""Whether a plan can run here: it is tied to a graph, a library version and a kind of GPU."""

from __future__ import annotations

import re
from typing import Any

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import PlanOrigin
from maclip_runtime.engines.driver import Gpu
from maclip_runtime.engines.tensorrt_library import list_capabilities
from maclip_runtime.errors import Remedy
from maclip_runtime.vocabulary import PlanLibrary


def rebuild(bundle: Bundle, library: PlanLibrary, **settings: object) -> Remedy:
    """The remedy of building a plan (again), with further settings; None for one to be chosen."""
    settings = {"engine": library, **settings}
    return Remedy("build one for this machine", ("build", str(bundle.path)), settings)


# Of a module's memory, how much may be reserved in one configuration and not in another.
_SAME_MEMORY = 0.1


def check_compatibility(plan: PlanOrigin, bundle: Bundle, trt: Any, gpu: Gpu) -> str | None:
    """Why a plan cannot run with the library's module `trt` on this GPU; None if nothing is against it."""
    graphs = {file.path: file.sha256 for file in bundle.manifest.files}
    if graphs.get(plan.graph) != plan.graph_sha256:
        return f"it was built from another {plan.graph}"
    return (
        _check_version(plan, str(trt.__version__))
        or _check_capability(plan, trt, gpu)
        or (_check_model(plan, gpu) if plan.library == "tensorrt" else None)
    )


def _check_version(plan: PlanOrigin, version: str) -> str | None:
    """Plans are for the version that built them, version-compatible ones for later ones too."""
    if plan.version == version:
        return None
    fault = f"it was built by {plan.library} {plan.version}, and {version} is installed"
    if not plan.version_compatible:
        return fault
    return f"{fault}, which is older" if _parse(plan.version) > _parse(version) else None


def _check_capability(plan: PlanOrigin, trt: Any, gpu: Gpu) -> str | None:
    capability = gpu.compute_capability
    if plan.compute_capabilities:
        if capability in plan.compute_capabilities:
            return None
        built_for = ", ".join(plan.compute_capabilities)
        return f"it was built for compute capability {built_for}, and {gpu.name} has {capability}"
    if int(capability) < 80:
        return f"it is portable from compute capability 8.0 on, and {gpu.name} has less"
    served = list_capabilities(trt)  # and between them are some that are not, as Orin's 8.7
    if capability not in served:
        known = ", ".join(served)
        return f"{plan.library} serves compute capability {known}, and {gpu.name} has {capability}"
    return None


def _check_model(plan: PlanOrigin, gpu: Gpu) -> str | None:
    """TensorRT's plans are for the model they were built on; "Orin" is the name of several."""
    if plan.device != gpu.name:
        return f"it was built on {plan.device}, and this is {gpu.name}"
    have, wanted = gpu.multiprocessors, plan.multiprocessors
    if None not in (have, wanted) and have != wanted:
        return (
            f"it was built on {plan.device} with {wanted} multiprocessors, and this one has {have}"
        )
    if plan.memory is not None and abs(gpu.memory - plan.memory) > _SAME_MEMORY * plan.memory:
        return (
            f"it was built on {plan.device} with {plan.memory / 1e9:.0f} GB, and this one has "
            f"{gpu.memory / 1e9:.0f} GB"
        )
    return None


def _parse(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]
