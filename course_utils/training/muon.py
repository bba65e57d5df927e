"""Muon: momentum whose steps turn all directions of a matrix equally.

A gradient's momentum M = U S V' is dominated by a few large singular values; U V' is
the same without them. Jordan et al. 2024 (kellerjordan.github.io/posts/muon).
"""

from collections import defaultdict

import torch
from torch import Tensor, nn

from course_utils.images import check_floats, check_whole

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the polynomial that Jordan et al. found


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Singular values (n, r, c) to about 1 (0.7 to 1.2), singular vectors unchanged.

    Newton-Schulz: X <- (a + b A + c A^2) X with A = X X'. All the polynomials are
    applied to the small (r, r) Gram matrix A, r <= c, and to X only once, at the end.
    """
    check_floats(matrices, "matrices", 3)
    check_whole(steps, "steps")
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonalise(matrices.mT, steps).mT
    x = matrices.float()  # the Gram matrix diverges in half precision
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
    gram = x @ x.mT  # (n, r, r)
    product = polynomial = _polynomial(gram)
    for _ in range(steps - 1):
        gram = polynomial @ gram @ polynomial
        polynomial = _polynomial(gram)
        product = polynomial @ product
    return (product @ x).to(matrices.dtype)


def _polynomial(gram: Tensor) -> Tensor:
    a, b, c = COEFFICIENTS
    result = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    result.diagonal(dim1=-2, dim2=-1).add_(a)
    return result


class Muon(torch.optim.Optimizer):
    """Muon for the parameter groups with muon=True, AdamW without decay for the rest.

    Convolutions are matrices of (out, in * kernel). Steps are scaled by
    0.2 sqrt(longer side), which gives them the size of Adam's (Liu et al. 2025).
    """

    def __init__(self, groups: list[dict], lr: float = 1.5e-3):
        """Take groups of {"params", "muon"}, and "lr" where it differs."""
        super().__init__(groups, dict(lr=lr, momentum=0.95, betas=(0.9, 0.99)))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take one step."""
        for group in self.param_groups:
            group = group | {
                "params": [p for p in group["params"] if p.grad is not None]
            }
            self._turn(**group) if group["muon"] else self._adam(**group)

    def _turn(self, params: list, lr: float, momentum: float, **_) -> None:
        alike = defaultdict(list)  # matrices of one shape are turned together
        for p in params:
            mean = self.state[p].setdefault("momentum", torch.zeros_like(p))
            mean.lerp_(p.grad, 1 - momentum)
            ahead = p.grad.lerp(mean, momentum)  # Nesterov
            alike[p.flatten(1).shape].append((p, ahead.flatten(1)))
        for shape, pairs in alike.items():
            turned = orthogonalise(torch.stack([x for _, x in pairs]))
            for (p, _), x in zip(pairs, turned, strict=True):
                p.add_(x.view_as(p), alpha=-lr * 0.2 * max(shape) ** 0.5)

    def _adam(self, params: list, lr: float, betas: tuple, **_) -> None:
        for p in params:
            state = self.state[p]
            if not state:
                state["step"] = torch.zeros(())
                state["mean"], state["square"] = (
                    torch.zeros_like(p),
                    torch.zeros_like(p),
                )
            state["step"] += 1
            state["mean"].lerp_(p.grad, 1 - betas[0])
            state["square"].lerp_(p.grad.square(), 1 - betas[1])
            mean, square = (
                state[name] / (1 - beta ** state["step"].item())
                for name, beta in zip(("mean", "square"), betas, strict=True)
            )
            p.addcdiv_(mean, square.sqrt() + 1e-8, value=-lr)


def groups(model: nn.Module, lr: float, muon: bool = True) -> list[dict]:
    """Groups for Muon: matrices and convolutions, but no embeddings; and the rest.

    With muon=False all goes to AdamW, to see what Muon is worth.
    """
    tables = {
        p
        for m in model.modules()
        if isinstance(m, nn.Embedding)
        for p in m.parameters()
    }
    matrices = [p for p in model.parameters() if p.ndim > 1 and p not in tables]
    rest = [p for p in model.parameters() if p.ndim < 2 or p in tables]
    return [
        {"params": matrices, "lr": lr, "muon": muon},
        {"params": rest, "lr": lr, "muon": False},
    ]


def optimizer(model: nn.Module, lr: float) -> Muon:
    """Muon for all of the model's `groups`, at one rate."""
    return Muon(groups(model, lr))
