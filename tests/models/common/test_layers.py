"""The transformer block against torch's own, and its symmetries."""

import pytest
import torch
from torch import nn

from physbench.models.common.layers import ORDERS, Attention, Block, masked_mean


def reference(attention):
    """torch's attention with the same weights."""
    width = attention.out.in_features
    same = nn.MultiheadAttention(width, attention.heads, batch_first=True).eval()
    same.in_proj_weight.data, same.in_proj_bias.data = attention.qkv.weight, attention.qkv.bias
    same.out_proj.weight.data, same.out_proj.bias.data = attention.out.weight, attention.out.bias
    return same


def test_attention_is_torchs_multi_head_attention():
    torch.manual_seed(0)
    attention, x = Attention(12, 3).eval(), torch.randn(4, 5, 12)
    mask = torch.arange(5) < torch.tensor([5, 3, 1, 2])[:, None]
    wanted, weights = reference(attention)(
        x, x, x, key_padding_mask=~mask, average_attn_weights=False
    )
    allowed = mask[:, None, None, :]
    torch.testing.assert_close(attention(x, allowed), wanted)
    torch.testing.assert_close(attention.weights(x, allowed), weights)


def test_attention_with_other_keys_is_torchs_cross_attention():
    torch.manual_seed(1)
    attention, x, keys = Attention(8, 2).eval(), torch.randn(3, 1, 8), torch.randn(3, 6, 8)
    bias = torch.randn(3, 2, 1, 6)
    wanted, weights = reference(attention)(
        x, keys, keys, attn_mask=bias.flatten(0, 1), average_attn_weights=False
    )
    torch.testing.assert_close(attention(x, bias, keys), wanted)
    torch.testing.assert_close(attention.weights(x, bias, keys), weights)


@pytest.mark.parametrize(("order", "first"), [("post", False), ("pre", True)])
def test_post_and_pre_norm_are_torchs_encoder_layer(order, first):
    torch.manual_seed(2)
    block, x = Block(8, 2, 16, activation="relu", order=order).eval(), torch.randn(3, 4, 8)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=first).eval()
    layer.self_attn = reference(block.attention)
    layer.linear1, layer.linear2 = block.mixer[0], block.mixer[-1]
    layer.norm1, layer.norm2 = block.norms
    torch.testing.assert_close(block(x, None), layer(x))


def test_normformer_is_the_formula_written_out():
    torch.manual_seed(3)
    block, x = Block(6, 2, 10, order="normformer").eval(), torch.randn(2, 3, 6)
    for parameter in block.parameters():
        nn.init.normal_(parameter, 0.5, 0.5)
    first, second, third = block.norms
    projected = block.attention(first(x), None)
    h = torch.cat([block.head_factor[:1].expand(3), block.head_factor[1:].expand(3)])
    middle = x + second(projected * h)
    linear, gelu, _, norm, last = block.mixer
    wanted = block.residual_factor * middle + last(norm(gelu(linear(third(middle)))))
    torch.testing.assert_close(block(x, None), wanted)


@pytest.mark.parametrize("order", ORDERS)
def test_padded_slots_change_nothing_and_order_is_followed(order):
    torch.manual_seed(4)
    block, x = Block(8, 2, 16, order=order).eval(), torch.randn(3, 4, 8)
    mask = torch.tensor([True, True, True, False]).expand(3, 4)[:, None, None, :]
    other = x.clone()
    other[:, 3] = 100.0
    torch.testing.assert_close(block(x, mask)[:, :3], block(other, mask)[:, :3])
    turned = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(block(x, None)[:, turned], block(x[:, turned], None))


def test_a_class_token_alone_is_changed():
    torch.manual_seed(5)
    block, token, x = Block(8, 2, 16, order="normformer").eval(), *torch.randn(2, 3, 4, 8)
    changed = block(token[:, :1], None, x)
    assert changed.shape == (3, 1, 8)
    turned = block(token[:, :1], None, x[:, [3, 1, 0, 2]])
    torch.testing.assert_close(changed, turned)


def test_masked_mean_by_hand():
    x = torch.tensor([[[1.0], [3.0], [50.0]]])
    assert masked_mean(x, torch.tensor([[True, True, False]])).item() == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6, 4, 8), "width must be a multiple of heads"),
        ((8, 4, 8, {"order": "sandwich"}), "order must be one of post, pre, normformer"),
        ((8, 4, 8, {"activation": "tanh"}), "activation must be one of relu"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    *sizes, options = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(ValueError, match=message):
        Block(*sizes, **options)
