"""How this machine computes: its device, threads and precision, chosen once and written into the spec."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import torch

from ganmodels.specs import Knobs

SpecT = TypeVar("SpecT", bound=Knobs)

MOST_THREADS = 8  # these networks are too small to keep more at work


def resolve(spec: SpecT) -> SpecT:
    """Replace every `auto` by this machine's choice."""
    device = spec.device if spec.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    threads = spec.threads if spec.threads != "auto" else min(MOST_THREADS, available_cpus())
    chosen = spec.precision if spec.precision != "auto" else "bf16" if has_bf16(device) else "fp32"
    return spec.model_copy(update={"device": device, "threads": threads, "precision": chosen})


def apply(spec: Knobs) -> None:
    """Set the process to compute as the resolved spec says. Raises ValueError while anything is `auto`."""
    if "auto" in (spec.device, spec.threads, spec.precision):
        raise ValueError("the spec is not resolved: device, threads or precision is still auto")
    assert isinstance(spec.threads, int)
    torch.set_num_threads(spec.threads)
    torch.use_deterministic_algorithms(spec.deterministic)
    torch.backends.cudnn.benchmark = not spec.deterministic


def autocast(spec: Knobs, device: str) -> AbstractContextManager[None]:
    """Compute in half precision what can be, when the spec says bf16."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=spec.precision == "bf16")


def has_bf16(device: str) -> bool:
    """Tell whether `device` multiplies bfloat16 in hardware; emulated, it is slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))


def instruction_set() -> str:
    """Name the CPU's vector instructions that PyTorch uses: another set may change the last bit."""
    return torch.backends.cpu.get_cpu_capability()


def available_cpus() -> int:
    """Count the CPUs this process may use: its affinity, or a container's quota when that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, quota(Path("/sys/fs/cgroup/cpu.max"), allowed)))


def quota(limits: Path, otherwise: int) -> int:
    """Read a control group's `quota period` in microseconds per period; `max` is no limit."""
    try:
        quota, period = limits.read_text().split()
    except (OSError, ValueError):
        return otherwise
    return otherwise if quota == "max" else -(-int(quota) // int(period))
