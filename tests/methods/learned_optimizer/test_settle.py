import torch

from mmml.methods.learned_optimizer.gradient_cache import cache_gradient


def test_value_and_gradient_stay_and_the_graph_goes():
    a, b, unused = (torch.tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    fixed = torch.ones(2)
    total = 3 * cache_gradient((a**2 * b * fixed).sum(), [a, b, unused, fixed]) + cache_gradient(
        (a * b).sum(), [a, b]
    )
    assert total.item() == 3 * 9 + 5
    total.backward()
    assert a.grad.tolist() == [3 * 2 + 1, 3 * 8 + 2] and b.grad.tolist() == [3 * 1 + 1, 3 * 4 + 2]
    assert unused.grad is None and fixed.grad is None


def test_without_a_gradient_it_is_what_it_was():
    with torch.no_grad():
        loss = torch.ones(2, requires_grad=True).sum()
    assert cache_gradient(loss, [torch.ones(1, requires_grad=True)]) is loss
