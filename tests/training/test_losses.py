"""Losses against worked numbers and plain loops; masks and gradients as laws."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from training.losses import (
    approximate_kl,
    behaviour_cloning_loss,
    clip_fraction,
    clipped_policy_loss,
    entropy_loss,
    explained_variance,
    masked_mean,
    policy_gradient_loss,
    teacher_kl_loss,
    value_loss,
)

# Every loss as a function of rows [.., ..]: learner's output, two constants and the mask.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "policy_gradient": lambda x, a, b, mask: policy_gradient_loss(x, a, mask),
    "clipped_policy": lambda x, a, b, mask: clipped_policy_loss(x, b, a, mask, clip_epsilon=0.2),
    "value": lambda x, a, b, mask: value_loss(x, a, mask),
    "huber": lambda x, a, b, mask: value_loss(x, a, mask, huber_delta=0.5),
    "entropy": lambda x, a, b, mask: entropy_loss(x, mask),
    "teacher_kl": lambda x, a, b, mask: teacher_kl_loss(x, mask),
    "behaviour_cloning": lambda x, a, b, mask: behaviour_cloning_loss(x, mask, a),
}
STATISTICS: dict[str, Callable[..., Tensor]] = {
    "approximate_kl": lambda x, a, b, mask: approximate_kl(x, b, mask),
    "clip_fraction": lambda x, a, b, mask: clip_fraction(x, b, mask, clip_epsilon=0.2),
    "explained_variance": lambda x, a, b, mask: explained_variance(x, a, mask),
}


def rows(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, a, b = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), a, b, torch.rand(*shape, generator=generator) < 0.6


@pytest.mark.parametrize("name", [*LOSSES, *STATISTICS])
def test_masked_rows_change_nothing_even_when_nan(name: str) -> None:
    function = (LOSSES | STATISTICS)[name]
    x, a, b, mask = rows(5, 3)
    kept = function(x[mask], a[mask], b[mask], mask[mask])
    for poison in (float("nan"), float("inf"), 1e30):
        poisoned = [torch.where(mask, tensor.detach(), poison) for tensor in (x, a, b)]
        poisoned[0].requires_grad_()
        loss = function(*poisoned, mask)
        torch.testing.assert_close(loss, kept)
        if name in LOSSES:
            (gradient,) = torch.autograd.grad(loss, poisoned[0])
            (expected,) = torch.autograd.grad(kept, x, retain_graph=True)
            torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("name", [*LOSSES, *STATISTICS])
def test_no_real_row_gives_zero(name: str) -> None:
    x, a, b, mask = rows(4, 2)
    loss = (LOSSES | STATISTICS)[name](x, a, b, torch.zeros_like(mask))
    assert loss.item() == 0
    if name in LOSSES:
        assert torch.autograd.grad(loss, x)[0].abs().sum() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_reaches_only_the_learners_output(name: str) -> None:
    x, a, b, mask = rows(5, 3)
    a.requires_grad_(), b.requires_grad_()
    LOSSES[name](x, a, b, mask).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert a.grad is None
    assert b.grad is None


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_carry_no_gradient(name: str) -> None:
    assert not STATISTICS[name](*rows(5, 3)).requires_grad


def test_masked_mean_hand_worked() -> None:
    x, mask = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([True, False, True])
    assert masked_mean(x, mask).item() == 3.5
    assert masked_mean(x, mask, torch.tensor(7)).item() == 1.0


def test_policy_gradient_hand_worked() -> None:
    log_prob = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantages, mask = torch.tensor([3.0, -1.0]), torch.tensor([True, True])
    assert policy_gradient_loss(log_prob, advantages, mask).item() == pytest.approx(0.5)  # -(-3 + 2) / 2
    policy_gradient_loss(log_prob, advantages, mask).backward()
    torch.testing.assert_close(log_prob.grad, torch.tensor([-1.5, 0.5]))  # -advantage / rows


@pytest.mark.parametrize(
    ("ratio", "advantage", "surrogate", "moves"),
    [
        (1.1, 2.0, 2.2, True),
        (1.5, 2.0, 2.4, False),
        (1.5, -2.0, -3.0, True),
        (0.5, 2.0, 1.0, True),
        (0.5, -2.0, -1.6, False),
    ],
)
def test_clipped_policy_loss_cases(ratio: float, advantage: float, surrogate: float, moves: bool) -> None:
    """The cases of figure 1 of the paper: the gradient stops where the ratio has moved far enough the right way."""
    target = torch.tensor([math.log(ratio) - 1.0], requires_grad=True)
    loss = clipped_policy_loss(
        target, torch.tensor([-1.0]), torch.tensor([advantage]), torch.tensor([True]), clip_epsilon=0.2
    )
    assert loss.item() == pytest.approx(-surrogate, rel=1e-5)
    loss.backward()
    assert target.grad is not None
    assert (target.grad.item() != 0) is moves


def test_clipped_policy_gradient_is_the_policy_gradient_on_policy() -> None:
    x, a, _, mask = rows(5, 3)
    (clipped,) = torch.autograd.grad(clipped_policy_loss(x, x.detach(), a, mask, clip_epsilon=0.1), x)
    (plain,) = torch.autograd.grad(policy_gradient_loss(x, a, mask), x)
    torch.testing.assert_close(clipped, plain)


def test_value_loss_hand_worked() -> None:
    values, targets = torch.tensor([[1.0, 0.0], [2.0, 5.0]]), torch.tensor([[2.0, 2.0], [2.0, 1.0]])
    mask = torch.tensor([True, True])
    assert value_loss(values, targets, mask).item() == pytest.approx((0.5 + 2.0 + 0.0 + 8.0) / 2)
    huber = value_loss(values, targets, mask, huber_delta=1.0)
    assert huber.item() == pytest.approx((0.5 + 1.5 + 0.0 + 3.5) / 2)
    one_row = value_loss(values, targets, torch.tensor([True, False]))
    assert one_row.item() == pytest.approx(2.5)


def test_huber_loss_is_torchs() -> None:
    x, a, _, mask = rows(6, 4)
    expected = torch.nn.functional.huber_loss(x[mask], a[mask], delta=0.7)
    torch.testing.assert_close(value_loss(x, a, mask, huber_delta=0.7), expected)


def test_behaviour_cloning_is_cross_entropy_and_entropy_loss_is_negative() -> None:
    logits, actions = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
    policy, mask = Categorical(logits=logits), torch.ones(8, dtype=torch.bool)
    expected = torch.nn.functional.cross_entropy(logits, actions)
    torch.testing.assert_close(behaviour_cloning_loss(policy.log_prob(actions), mask), expected)
    weights = torch.arange(8.0)
    per_row = torch.nn.functional.cross_entropy(logits, actions, reduction="none")
    torch.testing.assert_close(
        behaviour_cloning_loss(policy.log_prob(actions), mask, weights), (weights * per_row).mean()
    )
    torch.testing.assert_close(
        behaviour_cloning_loss(policy.log_prob(actions), mask, weights, count=weights.sum()),
        (weights * per_row).sum() / weights.sum(),
    )
    torch.testing.assert_close(entropy_loss(policy.entropy(), mask), -policy.entropy().mean())
    teacher = Categorical(logits=torch.zeros(8, 4))
    divergences = kl_divergence(policy, teacher)
    torch.testing.assert_close(teacher_kl_loss(divergences, mask), divergences.mean())


def test_approximate_kl_is_never_negative_and_unbiased() -> None:
    generator = torch.Generator().manual_seed(0)
    behaviour, target = (Categorical(logits=torch.randn(4, generator=generator)) for _ in range(2))
    actions = torch.multinomial(behaviour.probs, 200_000, replacement=True, generator=generator)
    mask = torch.ones(len(actions), dtype=torch.bool)
    estimate = approximate_kl(target.log_prob(actions), behaviour.log_prob(actions), mask)
    assert estimate.item() == pytest.approx(kl_divergence(behaviour, target).item(), rel=0.02)
    single = torch.tensor([True])
    assert approximate_kl(torch.tensor([-3.0]), torch.tensor([-1.0]), single).item() == pytest.approx(math.exp(-2) + 1)
    assert approximate_kl(torch.tensor([-1.0]), torch.tensor([-1.0]), single).item() == 0


def test_clip_fraction_counts() -> None:
    ratios = torch.tensor([0.5, 0.9, 1.0, 1.3, 2.0])
    mask = torch.tensor([True, True, True, True, False])
    assert clip_fraction(ratios.log(), torch.zeros(5), mask, clip_epsilon=0.2).item() == pytest.approx(0.5)


def test_explained_variance_hand_worked() -> None:
    targets, mask = torch.tensor([1.0, 2.0, 3.0, 9.0]), torch.tensor([True, True, True, False])
    assert explained_variance(targets, targets, mask).item() == 1
    assert explained_variance(torch.full((4,), 7.0), targets, mask).item() == pytest.approx(0)
    # Errors 0, -2, 0 (variance 8/9) against targets of variance 2/3.
    assert explained_variance(torch.tensor([1.0, 4.0, 3.0, 0.0]), targets, mask).item() == pytest.approx(1 - 8 / 6)
    assert explained_variance(torch.tensor([1.0, 4.0, 3.0, 0.0]), torch.full((4,), 2.0), mask).item() == 0


def test_bad_input_is_named() -> None:
    x, a, b, mask = rows(4, 2)
    with pytest.raises(ValueError, match=r"boolean loss_mask, got loss_mask \[4, 2\].*advantages \[4, 1\]"):
        policy_gradient_loss(x, a[:, :1], mask)
    with pytest.raises(ValueError, match=r"torch\.int64"):
        masked_mean(x, mask.long())
    with pytest.raises(ValueError, match="clip_epsilon must be positive, got 0"):
        clipped_policy_loss(x, b, a, mask, clip_epsilon=0.0)
    with pytest.raises(ValueError, match="huber_delta must be positive, got -1"):
        value_loss(x, a, mask, huber_delta=-1.0)
    with pytest.raises(ValueError, match=r"values \[4, 2\], targets \[4\]"):
        value_loss(x, a[:, 0], mask[:, 0])


def test_clipped_policy_loss_stays_finite_for_an_all_but_impossible_decision() -> None:
    target = torch.tensor([0.0], requires_grad=True)
    loss = clipped_policy_loss(
        target, torch.tensor([-500.0]), torch.tensor([-1.0]), torch.tensor([True]), clip_epsilon=0.2
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert target.grad is not None
    assert torch.isfinite(target.grad).all()
