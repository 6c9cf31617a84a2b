"""Distributions against enumeration of every legal action and against torch.distributions."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, Normal, kl_divergence

from agent.distributions import ComponentDistribution, GaussianDistribution, MaskedCategorical
from agent.interface import ActionSpec

SIZES = (3, 4, 5)
TYPED = ActionSpec(component_sizes=SIZES, arguments=((), (1,), (1, 2)), per_entity=True)
PLAIN = ActionSpec(component_sizes=SIZES)
DECISIONS = 5


def random_logits(seed: int, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(DECISIONS, sum(SIZES), generator=generator, dtype=torch.float64)


def random_mask(seed: int = 0) -> Tensor:
    """Return masks with most choices legal and at least one of each component."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(DECISIONS, sum(SIZES), generator=generator) < 0.7
    for first, size in zip((0, 3, 7), SIZES, strict=True):
        mask[torch.arange(DECISIONS), first + torch.randint(size, (DECISIONS,), generator=generator)] = True
    return mask


def legal_actions(mask: Tensor, spec: ActionSpec) -> list[tuple[int, ...]]:
    """Return every action that differs in what is read; components that are not read are 0."""
    parts = mask.split(list(SIZES))
    actions = set()
    for action in itertools.product(*(part.nonzero()[:, 0].tolist() for part in parts)):
        read = range(1, len(SIZES)) if spec.arguments is None else spec.arguments[action[0]]
        actions.add(tuple(choice if component in (0, *read) else 0 for component, choice in enumerate(action)))
    return sorted(actions)


def enumerated(logits: Tensor, mask: Tensor, spec: ActionSpec, decision: int) -> tuple[Tensor, ComponentDistribution]:
    """Return the log-probabilities of all legal actions of one decision, and its distribution."""
    actions = legal_actions(mask[decision], spec)
    rows = slice(decision, decision + 1)
    repeated = ComponentDistribution(logits[rows].expand(len(actions), -1), mask[rows].expand(len(actions), -1), spec)
    return repeated.log_prob(torch.tensor(actions)), ComponentDistribution(logits[rows], mask[rows], spec)


@pytest.mark.parametrize("spec", [TYPED, PLAIN], ids=["typed", "plain"])
@pytest.mark.parametrize("decision", range(DECISIONS))
def test_probabilities_entropy_and_kl_are_those_of_the_enumerated_actions(spec: ActionSpec, decision: int) -> None:
    mask = random_mask()
    log_probs, distribution = enumerated(random_logits(1), mask, spec, decision)
    other_log_probs, other = enumerated(random_logits(2), mask, spec, decision)
    torch.testing.assert_close(log_probs.exp().sum(), torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(distribution.entropy()[0], -(log_probs.exp() * log_probs).sum())
    torch.testing.assert_close(distribution.kl(other)[0], (log_probs.exp() * (log_probs - other_log_probs)).sum())


def test_worked_example() -> None:
    """Type 0 (p = 1/4) reads nothing; type 1 (p = 3/4) reads a fair coin: H = H(1/4) + 3/4 log 2."""
    spec = ActionSpec(component_sizes=(2, 2), arguments=((), (1,)), per_entity=True)
    logits = torch.tensor([[0.0, np.log(3.0), 5.0, 5.0]])
    distribution = ComponentDistribution(logits, None, spec)
    assert distribution.log_prob(torch.tensor([[0, 1]])).item() == pytest.approx(np.log(1 / 4))
    assert distribution.log_prob(torch.tensor([[1, 1]])).item() == pytest.approx(np.log(3 / 8))
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) + 0.75 * np.log(2)
    assert distribution.entropy().item() == pytest.approx(entropy)


def test_components_that_the_type_does_not_read_change_nothing() -> None:
    distribution = ComponentDistribution(random_logits(3), random_mask(), TYPED)
    without_arguments = torch.zeros(DECISIONS, 3, dtype=torch.int64)
    garbage = torch.tensor([[0, 3, 4]]).expand(DECISIONS, -1)
    torch.testing.assert_close(distribution.log_prob(without_arguments), distribution.log_prob(garbage))
    torch.testing.assert_close(distribution.log_prob(garbage), distribution.log_probs[0][:, 0])


@pytest.mark.parametrize("spec", [TYPED, PLAIN], ids=["typed", "plain"])
def test_samples_are_legal_and_as_frequent_as_probable(spec: ActionSpec) -> None:
    draws, mask = 10_000, random_mask()
    logits = random_logits(4, scale=1.0).float()
    for decision in range(2):
        rows = slice(decision, decision + 1)
        distribution = ComponentDistribution(logits[rows].expand(draws, -1), mask[rows].expand(draws, -1), spec)
        samples = distribution.sample(torch.Generator().manual_seed(decision))
        for component, part in enumerate(mask[decision].split(list(SIZES))):
            assert part[samples[:, component]].all()
            counts = samples[:, component].bincount(minlength=SIZES[component])
            probabilities = distribution.log_probs[component][0].exp()
            torch.testing.assert_close(counts / draws, probabilities, atol=0.025, rtol=0.0)


def test_equal_generators_give_equal_samples() -> None:
    distribution = ComponentDistribution(random_logits(4), None, PLAIN)
    first, second, other = (distribution.sample(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_mode_is_the_most_probable_legal_choice_of_each_component() -> None:
    logits, mask = random_logits(5), random_mask()
    mode = ComponentDistribution(logits, mask, PLAIN).mode()
    for decision in range(DECISIONS):
        for component, (part, legal) in enumerate(
            zip(logits[decision].split(list(SIZES)), mask[decision].split(list(SIZES)), strict=True)
        ):
            choices = legal.nonzero()[:, 0].tolist()
            assert mode[decision, component] == max(choices, key=lambda choice: float(part[choice]))


def test_plain_components_equal_torch_categoricals() -> None:
    logits, other_logits = random_logits(6), random_logits(7)
    ours, other = ComponentDistribution(logits, None, PLAIN), ComponentDistribution(other_logits, None, PLAIN)
    theirs = [Categorical(logits=part) for part in logits.split(list(SIZES), -1)]
    their_others = [Categorical(logits=part) for part in other_logits.split(list(SIZES), -1)]
    action = torch.tensor([[0, 1, 2], [2, 3, 4], [1, 0, 0], [1, 2, 3], [0, 0, 4]])
    expected = sum(part.log_prob(action[:, index]) for index, part in enumerate(theirs))
    torch.testing.assert_close(ours.log_prob(action), expected)
    torch.testing.assert_close(ours.entropy(), sum(part.entropy() for part in theirs))
    divergences = [kl_divergence(mine, yours) for mine, yours in zip(theirs, their_others, strict=True)]
    torch.testing.assert_close(ours.kl(other), sum(divergences))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_legal_choice_is_certain_and_gradients_stay_finite(dtype: torch.dtype) -> None:
    mask = torch.zeros(DECISIONS, sum(SIZES), dtype=torch.bool)
    mask[:, [2, 3, 11]] = True
    logits = (1e3 * random_logits(8)).to(dtype).requires_grad_()
    distribution = ComponentDistribution(logits, mask, TYPED)
    action = torch.tensor([[2, 0, 4]]).expand(DECISIONS, -1)
    assert torch.equal(distribution.sample(), action)
    assert torch.equal(distribution.mode(), action)
    results = (distribution.log_prob(action), distribution.entropy(), distribution.kl(distribution))
    for result in results:
        assert torch.equal(result, torch.zeros_like(result))
    (gradient,) = torch.autograd.grad(sum(result.sum() for result in results), logits)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("weight", [1.0, 2.0, 65536.0])
def test_the_gradient_of_the_entropy_grows_with_its_weight(weight: float) -> None:
    logits, mask = random_logits(9).requires_grad_(), random_mask()
    for distribution in (ComponentDistribution(logits, mask, TYPED), MaskedCategorical(logits, mask, name="function")):
        entropy = distribution.entropy().sum()
        (gradient,) = torch.autograd.grad(entropy, logits, retain_graph=True)
        (weighted,) = torch.autograd.grad(weight * entropy, logits)
        torch.testing.assert_close(weighted, weight * gradient)
        assert (gradient[~mask] == 0).all()


def test_masked_logits_get_no_gradient() -> None:
    logits, mask = random_logits(9).requires_grad_(), random_mask()
    distribution = ComponentDistribution(logits, mask, TYPED)
    total = distribution.entropy().sum() + distribution.log_prob(distribution.mode()).sum()
    (gradient,) = torch.autograd.grad(total, logits)
    assert torch.isfinite(gradient).all()
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).any()


def test_a_component_without_choice_is_an_error_only_where_it_is_read() -> None:
    mask = random_mask()
    mask[3, 7:] = False
    logits = random_logits(10)
    with pytest.raises(ValueError, match="component 2 of decision 3 has no legal choice"):
        ComponentDistribution(logits, mask, PLAIN)
    mask[3, :3] = torch.tensor([False, True, True])
    with pytest.raises(ValueError, match="component 2 of decision 3"):
        ComponentDistribution(logits, mask, TYPED)
    mask[3, 2] = False  # the only type that reads component 2
    assert torch.isfinite(ComponentDistribution(logits, mask, TYPED).entropy()).all()
    mask[1, :3] = False
    with pytest.raises(ValueError, match="component 0 of decision 1"):
        ComponentDistribution(logits, mask, TYPED)


def test_shapes_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="expected logits of 12 choices, got 11"):
        ComponentDistribution(random_logits(0)[:, 1:], None, PLAIN)
    with pytest.raises(ValueError, match="expected an action mask of shape"):
        ComponentDistribution(random_logits(0), random_mask()[:2], PLAIN)


def test_no_decisions_are_no_problem() -> None:
    distribution = ComponentDistribution(torch.zeros(0, 12), torch.zeros(0, 12, dtype=torch.bool), TYPED)
    action = distribution.sample()
    assert action.shape == (0, 3)
    assert distribution.log_prob(action).shape == distribution.entropy().shape == (0,)


def test_gaussian_equals_torch_normal() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, other_mean, action = torch.randn(3, 4, 2, generator=generator)
    log_std, other_log_std = torch.tensor([-1.0, 0.5]), torch.tensor([0.2, -0.3])
    ours, other = GaussianDistribution(mean, log_std), GaussianDistribution(other_mean, other_log_std)
    theirs = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1)
    their_other = Independent(Normal(other_mean, other_log_std.exp().expand_as(mean)), 1)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    torch.testing.assert_close(ours.kl(other), kl_divergence(theirs, their_other))
    assert torch.equal(ours.mode(), mean)


def test_gaussian_samples_have_its_mean_and_deviation() -> None:
    distribution = GaussianDistribution(torch.tensor([[3.0, -1.0]]).expand(20_000, -1), torch.tensor([-1.0, 0.7]))
    samples = distribution.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(samples.mean(0), torch.tensor([3.0, -1.0]), atol=0.05, rtol=0.0)
    torch.testing.assert_close(samples.std(0).log(), torch.tensor([-1.0, 0.7]), atol=0.03, rtol=0.0)
