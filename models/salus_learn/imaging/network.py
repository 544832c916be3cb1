"""EfficientNet-Lite0 as a torch module that returns feature maps. Weights are found in weights.py.

Tan and Le, EfficientNet (2019); the Lite variant drops squeeze-and-excitation and uses ReLU6.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

INPUT_SIDE = 224  # what the weights were published for; a task may show larger or smaller pictures
REDUCTION = 32  # pixels of the picture across one cell of the maps
# channels of the two maps that the head sees: block 10 (twice as fine, averaged) and the last convolution
MID_CHANNELS, LAST_CHANNELS = 112, 1280
CHANNELS = MID_CHANNELS + LAST_CHANNELS
_MID_BLOCK = 10
FIRST_TUNED = 3  # blocks before it find edges and colours, and cost most to tune
_EPSILON = 1e-3
# (repeats, kernel, stride, expansion, channels out)
_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip


class _SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow does, so that the published weights see what they were trained on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
        before = missing // 2
        if missing % 2 == 0:  # the same on both sides: no copy of the maps is needed
            return functional.conv2d(x, self.weight, self.bias, self.stride, before, self.dilation, self.groups)
        return super().forward(functional.pad(x, (before, missing - before, before, missing - before)))


def _conv(inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return _SameConv(inside, outside, kernel, stride=stride, groups=groups, bias=False)


class _Block(nn.Module):
    """Inverted bottleneck: expand, depthwise, project; a short cut where shapes allow."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = _conv(inside, wide)
            self._bn0 = nn.BatchNorm2d(wide, eps=_EPSILON)
        self._depthwise_conv = _conv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, eps=_EPSILON)
        self._project_conv = _conv(wide, outside)
        self._bn2 = nn.BatchNorm2d(outside, eps=_EPSILON)
        self.short_cut = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return x + y if self.short_cut else y


class Encoder(nn.Module):
    """(B, 3, S, S) in [-1, 1], S a multiple of 32 → feature maps (B, 1392, S / 32, S / 32), all of them >= 0 or near it.

    The first 112 channels are block 10's, always with the published weights: the gate knows images by them. A network
    that may be `tuned` therefore keeps the published blocks 3 to 10 beside its own.
    """

    def __init__(self, *, tuned: bool = False) -> None:
        super().__init__()
        self._conv_stem = _conv(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=_EPSILON)
        self._blocks = nn.ModuleList(_all_blocks())
        self._conv_head = _conv(_STAGES[-1][-1], LAST_CHANNELS)
        self._bn1 = nn.BatchNorm2d(LAST_CHANNELS, eps=_EPSILON)
        self._published = nn.ModuleList(_all_blocks()[FIRST_TUNED : _MID_BLOCK + 1] if tuned else [])

    def front(self, x: torch.Tensor) -> torch.Tensor:
        """The part that is never tuned: edges and colours, (B, 24, S / 4, S / 4)."""
        x = functional.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        for block in self._blocks[:FIRST_TUNED]:
            x = block(x)
        return x

    def fused_front(self) -> nn.Sequential:
        """`front` once more with its batch statistics folded into the convolutions: the same but for rounding, and
        faster. It is to be run only."""
        stem = nn.Sequential(fuse_conv_bn_eval(self._conv_stem, self._bn0), nn.ReLU6(inplace=True))
        return nn.Sequential(stem, *(_fused(block) for block in self._blocks[:FIRST_TUNED])).requires_grad_(False)

    def back(self, x: torch.Tensor) -> torch.Tensor:
        """From `front`'s maps to the last convolution, (B, 1280, S / 32, S / 32)."""
        for block in self._blocks[FIRST_TUNED:]:
            x = block(x)
        return self._last(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        front = self.front(x)
        mid = front
        for block in self._published if len(self._published) else self._blocks[FIRST_TUNED : _MID_BLOCK + 1]:
            mid = block(mid)
        if len(self._published):
            last = self.back(front)
        else:
            last = mid
            for block in self._blocks[_MID_BLOCK + 1 :]:
                last = block(last)
            last = self._last(last)
        # (B, 112, c, c) beside (B, 1280, c, c), c = S / 32 cells
        return torch.cat([functional.avg_pool2d(mid, 2), last], dim=1)  # (B, 1392, c, c)

    def tuned_parts(self) -> list[nn.Module]:
        """What tuning may change: weights and batch statistics."""
        return [*self._blocks[FIRST_TUNED:], self._conv_head, self._bn1]

    def keep_published(self) -> None:
        """Copy the blocks as they are now to those that tuning never changes."""
        for kept, own in zip(self._published, self._blocks[FIRST_TUNED : _MID_BLOCK + 1], strict=True):
            kept.load_state_dict(own.state_dict())

    def _last(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu6(self._bn1(self._conv_head(x)), inplace=True)


def _fused(block: nn.Module) -> nn.Module:
    """A copy of a block with its batch statistics folded into its convolutions."""
    copy = deepcopy(block)
    for convolution, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
        if hasattr(copy, convolution):
            setattr(copy, convolution, fuse_conv_bn_eval(getattr(copy, convolution), getattr(copy, norm)))
            setattr(copy, norm, nn.Identity())
    return copy


def _all_blocks() -> list[_Block]:
    blocks, inside = [], 32
    for repeats, kernel, stride, expansion, outside in _STAGES:
        for number in range(repeats):
            blocks.append(_Block(inside, outside, kernel, stride if number == 0 else 1, expansion))
            inside = outside
    return blocks
