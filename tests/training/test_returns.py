"""Returns against loops transcribed from the papers' sums, hand-worked numbers and the laws that tie them together."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from training.returns import generalised_advantages, lambda_returns, upgo_returns, vtrace

LENGTH, BATCH = 7, 3


def trajectory(terms: tuple[int, ...] = (), seed: int = 0) -> dict[str, Tensor]:
    """Return random tensors with episodes that terminate, are truncated and run on, and consistent next values."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    all_values = normal(LENGTH + 1, BATCH, *terms)
    terminated = torch.zeros(LENGTH, BATCH, dtype=torch.bool)
    truncated = terminated.clone()
    terminated[2, 0] = truncated[4, 1] = True
    decides = torch.ones(LENGTH, BATCH, dtype=torch.bool)
    decides[3, 0] = decides[5, 1] = False  # final observations: no action is taken there
    alive = (~terminated).double()
    return {
        "values": all_values[:-1],
        "next_values": all_values[1:] * alive.reshape(LENGTH, BATCH, *(1 for _ in terms)),
        "rewards": normal(LENGTH, BATCH, *terms),
        "discounts": 0.9 ** torch.randint(1, 4, (LENGTH, BATCH), generator=generator) * alive,
        "trace_continues": ~(terminated | truncated) & decides,
        "importance_ratios": normal(LENGTH, BATCH).exp(),
    }


def without(data: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in data.items() if name not in names}


def naive_vtrace_target(column: dict[str, Tensor], s: int, rho_clip: float, c_clip: float, lambda_: float) -> Tensor:
    """Return equation 1 of the paper for one start s of one column, term by term."""
    target, product = column["values"][s], 1.0
    for t in range(s, LENGTH):
        rho = min(rho_clip, float(column["importance_ratios"][t]))
        gamma = column["discounts"][t]
        target = target + product * rho * (
            column["rewards"][t] + gamma * column["next_values"][t] - column["values"][t]
        )
        if not column["trace_continues"][t]:
            break
        product = product * float(gamma) * lambda_ * min(c_clip, float(column["importance_ratios"][t]))
    return target


@pytest.mark.parametrize(("rho_clip", "c_clip", "lambda_"), [(1.0, 1.0, 1.0), (1.5, 0.8, 0.7), (0.6, 2.0, 0.95)])
@pytest.mark.parametrize("terms", [(), (2,)])
def test_vtrace_is_the_papers_sum(terms: tuple[int, ...], rho_clip: float, c_clip: float, lambda_: float) -> None:
    data = trajectory(terms)
    result = vtrace(**data, rho_clip=rho_clip, c_clip=c_clip, lambda_=lambda_)
    for b in range(BATCH):
        column = {name: tensor[:, b] for name, tensor in data.items()}
        targets = [naive_vtrace_target(column, s, rho_clip, c_clip, lambda_) for s in range(LENGTH)]
        for t in range(LENGTH):
            torch.testing.assert_close(result.targets[t, b], targets[t])
            following = column["next_values"][t]
            if t + 1 < LENGTH and column["trace_continues"][t]:
                following = lambda_ * targets[t + 1] + (1 - lambda_) * following
            rho = min(rho_clip, float(column["importance_ratios"][t]))
            advantage = rho * (column["rewards"][t] + column["discounts"][t] * following - column["values"][t])
            torch.testing.assert_close(result.advantages[t, b], advantage)


def test_vtrace_hand_worked() -> None:
    result = vtrace(
        values=torch.tensor([[1.0], [2.0]]),
        next_values=torch.tensor([[2.0], [4.0]]),
        rewards=torch.tensor([[1.0], [-1.0]]),
        discounts=torch.tensor([[0.5], [0.5]]),
        trace_continues=torch.tensor([[True], [True]]),
        importance_ratios=torch.tensor([[3.0], [0.5]]),
    )
    # Row 1: δ = 0.5 (-1 + 0.5·4 - 2) = -0.5, target 1.5.
    # Row 0: δ = 1 (1 + 0.5·2 - 1) = 1, target 1 + 1 - 0.5·0.5 = 1.75.
    torch.testing.assert_close(result.targets, torch.tensor([[1.75], [1.5]]))
    # Row 0: 1 + 0.5·1.5 - 1 = 0.75. Row 1: 0.5 (-1 + 0.5·4 - 2) = -0.5.
    torch.testing.assert_close(result.advantages, torch.tensor([[0.75], [-0.5]]))


def test_upgo_hand_worked() -> None:
    returned = upgo_returns(
        values=torch.tensor([[0.0], [1.0], [5.0], [0.0]]),
        next_values=torch.tensor([[1.0], [5.0], [0.0], [2.0]]),
        rewards=torch.tensor([[1.0], [2.0], [3.0], [4.0]]),
        discounts=torch.full((4, 1), 1.0),
        trace_continues=torch.ones(4, 1, dtype=torch.bool),
    )
    # G3 = 4 + 2. Row 3 is better than expected (6 >= 0): G2 = 3 + 6. Row 2 is worse (3 + 0 < 5): G1 = 2 + 5.
    # Row 1 is better (2 + 5 >= 1): G0 = 1 + 7.
    torch.testing.assert_close(returned, torch.tensor([[8.0], [7.0], [9.0], [6.0]]))


@pytest.mark.parametrize("terms", [(), (2,)])
def test_upgo_is_the_papers_recursion(terms: tuple[int, ...]) -> None:
    data = without(trajectory(terms, seed=1), "importance_ratios")
    returned = upgo_returns(**data)
    for index in product(*(range(size) for size in data["values"].shape[1:])):
        column = {
            name: tensor[(slice(None), *(index[:1] if tensor.ndim == 2 else index))] for name, tensor in data.items()
        }

        def expected(t: int, column: dict[str, Tensor] = column) -> Tensor:
            reward, discount, following = (column[name][t] for name in ("rewards", "discounts", "next_values"))
            if t + 1 < LENGTH and column["trace_continues"][t]:
                one_step = column["rewards"][t + 1] + column["discounts"][t + 1] * column["next_values"][t + 1]
                if one_step >= column["values"][t + 1]:
                    following = expected(t + 1)
            return reward + discount * following

        for t in range(LENGTH):
            torch.testing.assert_close(returned[(t, *index)], expected(t))


@pytest.mark.parametrize("lambda_", [0.0, 0.8, 1.0])
def test_lambda_returns_are_the_weighted_n_step_returns(lambda_: float) -> None:
    """Sutton & Barto 2018, eq. 12.3: (1 - λ) Σ_n λ^{n-1} G_{t:t+n} + λ^{N-1} G_{t:t+N} for the N steps left."""
    data = without(trajectory(seed=2), "importance_ratios", "values")
    returned = lambda_returns(**data, lambda_=lambda_)
    for b in range(BATCH):
        for t in range(LENGTH):
            n_step, discount, reward_sum = [], 1.0, 0.0
            for i in range(t, LENGTH):
                reward_sum += discount * float(data["rewards"][i, b])
                discount *= float(data["discounts"][i, b])
                n_step.append(reward_sum + discount * float(data["next_values"][i, b]))
                if not data["trace_continues"][i, b]:
                    break
            expected = sum((1 - lambda_) * lambda_**n * value for n, value in enumerate(n_step[:-1]))
            expected += lambda_ ** (len(n_step) - 1) * n_step[-1]
            assert float(returned[t, b]) == pytest.approx(expected)


@pytest.mark.parametrize("lambda_", [0.5, 1.0])
def test_on_policy_vtrace_is_the_lambda_return_and_its_advantages_are_generalised_ones(lambda_: float) -> None:
    data = trajectory((2,), seed=3)
    data["importance_ratios"] = torch.ones_like(data["importance_ratios"])
    rest = without(data, "importance_ratios")
    result = vtrace(**data, lambda_=lambda_)
    torch.testing.assert_close(result.targets, lambda_returns(**without(rest, "values"), lambda_=lambda_))
    torch.testing.assert_close(result.advantages, generalised_advantages(**rest, lambda_=lambda_))


def test_generalised_advantages_are_the_papers_sum() -> None:
    data = without(trajectory(seed=4), "importance_ratios")
    advantages = generalised_advantages(**data, lambda_=0.9)
    errors = data["rewards"] + data["discounts"] * data["next_values"] - data["values"]
    for b in range(BATCH):
        for t in range(LENGTH):
            expected, weight = 0.0, 1.0
            for i in range(t, LENGTH):
                expected += weight * float(errors[i, b])
                weight *= 0.9 * float(data["discounts"][i, b])
                if not data["trace_continues"][i, b]:
                    break
            assert float(advantages[t, b]) == pytest.approx(expected)


def all_returns(data: dict[str, Tensor]) -> dict[str, Tensor]:
    rest = without(data, "importance_ratios")
    result = vtrace(**data, lambda_=0.9)
    return {
        "targets": result.targets,
        "advantages": result.advantages,
        "upgo": upgo_returns(**rest),
        "lambda": lambda_returns(**without(rest, "values"), lambda_=0.9),
        "generalised": generalised_advantages(**rest),
    }


def test_split_at_an_episode_end_equals_joined() -> None:
    data = trajectory((2,), seed=5)
    data["trace_continues"][3] = False
    joined = all_returns(data)
    first = all_returns({name: tensor[:4] for name, tensor in data.items()})
    second = all_returns({name: tensor[4:] for name, tensor in data.items()})
    for name, tensor in joined.items():
        torch.testing.assert_close(tensor, torch.cat([first[name], second[name]]))


def merged(column: dict[str, Tensor], firsts: list[int]) -> dict[str, Tensor]:
    """Return one column in which each of the rows `firsts` covers those up to the next of them."""
    rows: dict[str, list[Tensor]] = {name: [] for name in column}
    for first, end in pairwise([*firsts, len(column["values"])]):
        reward, discount = torch.zeros(()).double(), torch.ones(()).double()
        for t in range(first, end):
            reward, discount = reward + discount * column["rewards"][t], discount * column["discounts"][t]
        taken = {"rewards": reward, "discounts": discount}
        taken |= {name: column[name][first] for name in ("values", "importance_ratios")}
        taken |= {name: column[name][end - 1] for name in ("next_values", "trace_continues")}
        for name, value in taken.items():
            rows[name].append(value)
    return {name: torch.stack(values)[:, None] for name, values in rows.items()}


@pytest.mark.parametrize("seed", range(20))
def test_rows_without_a_decision_are_steps_on_the_way_of_the_one_before(seed: int) -> None:
    data = trajectory(seed=seed)
    is_decision = torch.rand(LENGTH, BATCH, generator=torch.Generator().manual_seed(seed)) < 0.6
    data["importance_ratios"][~is_decision] = 1.0
    returns = without(data, "importance_ratios")
    found = [
        *vtrace(**data, lambda_=0.7, is_decision=is_decision),
        upgo_returns(**returns, is_decision=is_decision),
    ]
    for column in range(BATCH):
        one = {name: tensor[:, column] for name, tensor in data.items()}
        begins = [True, *(~one["trace_continues"][:-1]).tolist()]
        firsts = [t for t in range(LENGTH) if begins[t] or is_decision[t, column]]
        expected = merged(one, firsts)
        wanted = [*vtrace(**expected, lambda_=0.7), upgo_returns(**without(expected, "importance_ratios"))]
        for result, reference in zip(found, wanted, strict=True):
            torch.testing.assert_close(result[firsts, column], reference[:, 0])
    everywhere = torch.ones_like(is_decision)
    for function, arguments in ((vtrace, {**data, "lambda_": 0.7}), (upgo_returns, returns)):
        plain, same = function(**arguments), function(**arguments, is_decision=everywhere)
        assert torch.equal(torch.stack([*plain]), torch.stack([*same]))


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e6])
def test_nothing_leaks_over_an_episode_end(poison: float) -> None:
    """Whatever follows the truncation in row 4, a NaN included, rows up to 4 read only its next_values."""
    data = trajectory(seed=6)
    data["trace_continues"][4] = False
    clean = all_returns(data)
    for name in ("values", "next_values", "rewards", "importance_ratios", "discounts"):
        data[name][5:] = poison
    for name, tensor in all_returns(data).items():
        torch.testing.assert_close(tensor[:5], clean[name][:5])
    data["next_values"][4] += 1.0
    for name, tensor in all_returns(data).items():
        assert (tensor[4] != clean[name][4]).all(), f"{name} ignores the value of the final observation"


def test_terminated_step_is_worth_its_reward() -> None:
    data = trajectory(seed=7)
    assert data["discounts"][2, 0] == 0
    results = all_returns(data)
    assert results["upgo"][2, 0] == results["lambda"][2, 0] == data["rewards"][2, 0]


def test_reward_terms_do_not_mix() -> None:
    data = trajectory((3,), seed=8)
    together = all_returns(data)
    for k in range(3):
        alone = all_returns({name: tensor[..., k] if tensor.ndim == 3 else tensor for name, tensor in data.items()})
        for name, tensor in together.items():
            torch.testing.assert_close(tensor[..., k], alone[name])


def test_discounts_may_differ_between_reward_terms() -> None:
    data = trajectory((2,), seed=9)
    scale = torch.tensor([1.0, 0.5], dtype=torch.float64)
    together = all_returns({**data, "discounts": data["discounts"].unsqueeze(-1) * scale})
    second = all_returns({**data, "discounts": data["discounts"] * 0.5})
    for name, tensor in together.items():
        torch.testing.assert_close(tensor[..., 1], second[name][..., 1])


def test_lambdas_may_differ_between_reward_terms() -> None:
    data, decays = trajectory((2,), seed=9), torch.tensor([1.0, 0.3], dtype=torch.float64)
    together = vtrace(**data, lambda_=decays)
    returns = without(data, "values", "importance_ratios")
    for term, decay in enumerate(decays.tolist()):
        alone = vtrace(**data, lambda_=decay)
        torch.testing.assert_close(together.targets[..., term], alone.targets[..., term])
        torch.testing.assert_close(together.advantages[..., term], alone.advantages[..., term])
        expected = lambda_returns(**returns, lambda_=decay)[..., term]
        torch.testing.assert_close(lambda_returns(**returns, lambda_=decays)[..., term], expected)
    with pytest.raises(ValueError, match=r"one for each reward term .* got \[3\] for \[7, 3, 2\]"):
        vtrace(**data, lambda_=torch.ones(3, dtype=torch.float64))
    with pytest.raises(ValueError, match="lambda_ must lie between 0 and 1"):
        vtrace(**data, lambda_=decays + 0.5)


def test_results_are_constants() -> None:
    data = trajectory(seed=10)
    for name in ("values", "next_values", "importance_ratios"):
        data[name] = data[name].clone().requires_grad_()
    assert not any(tensor.requires_grad for tensor in all_returns(data).values())


def test_empty_trajectories_give_empty_results() -> None:
    data = {name: tensor[:0] for name, tensor in trajectory((2,)).items()}
    assert all(tensor.shape == (0, BATCH, 2) for tensor in all_returns(data).values())


@pytest.mark.parametrize("name", ["next_values", "rewards", "discounts", "trace_continues", "importance_ratios"])
def test_wrong_shapes_are_named(name: str) -> None:
    data = trajectory()
    data[name] = data[name][:, :1]
    with pytest.raises(ValueError, match=rf"{name} \[7, 1\]"):
        vtrace(**data)


def test_wrong_numbers_are_refused() -> None:
    data = trajectory()
    with pytest.raises(ValueError, match=r"lambda_ must lie between 0 and 1, got 1\.5"):
        vtrace(**data, lambda_=1.5)
    with pytest.raises(ValueError, match=r"rho_clip and c_clip must be positive, got 1\.0 and 0\.0"):
        vtrace(**data, c_clip=0.0)
    with pytest.raises(ValueError, match=r"trace_continues is torch\.float64"):
        vtrace(**{**data, "trace_continues": data["trace_continues"].double()})
