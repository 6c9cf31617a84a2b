import pytest
import torch
import torch.nn.functional as F

from perceiver_io.tasks import ByteTokenizer, MaskedLanguageModel, MaskedLanguageModelConfig


def tiny(**settings) -> MaskedLanguageModel:
    torch.manual_seed(0)
    return MaskedLanguageModel(
        MaskedLanguageModelConfig(
            **{
                "max_length": 12,
                "token_channels": 16,
                "num_latents": 4,
                "latent_channels": 16,
                "num_self_attention_layers_per_block": 1,
                "num_decoder_heads": 2,
                **settings,
            }
        )
    )


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (MaskedLanguageModelConfig.language_perceiver(), 201),
        (MaskedLanguageModelConfig.language_perceiver_large(), 425),
        (MaskedLanguageModelConfig.word_pieces(), 223),
    ],
)
def test_the_papers_sizes(config, millions):
    with torch.device("meta"):
        model = MaskedLanguageModel(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(millions * 1e6, rel=0.006)


def test_padding_changes_nothing():
    model = tiny().double()
    token_ids, token_mask = ByteTokenizer().encode_batch(["abc", "hello"], length=9)
    logits = model(token_ids, token_mask)
    assert logits.shape == (2, 9, 262)
    assert not logits[~token_mask].any()
    torch.testing.assert_close(model(token_ids.masked_fill(~token_mask, 99), token_mask), logits)
    torch.testing.assert_close(model(token_ids.masked_fill(~token_mask, -100), token_mask), logits)
    torch.testing.assert_close(model(token_ids[:1, :5])[0], logits[0, :5], atol=1e-10, rtol=1e-10)


def test_logits_are_products_with_the_input_embeddings():
    model = tiny()
    token_ids = torch.tensor([[5, 9, 9]])
    latents = model.perceiver_io.encode(model.inputs(token_ids))
    embeddings = model.perceiver_io.decode(latents, model.queries()[:3])
    model.logit_bias.data.normal_()
    expected = embeddings @ model.inputs.embedding.weight.T + model.logit_bias
    torch.testing.assert_close(model(token_ids), expected)


def test_learns_which_byte_is_hidden():
    """The hidden byte of "abab..." or "cdcd..." follows from the bytes around it."""
    model = tiny(num_self_attention_heads=2)
    tokenizer = ByteTokenizer()
    token_ids, _ = tokenizer.encode_batch(["abababab", "cdcdcdcd", "babababa", "dcdcdcdc"])
    hidden = token_ids.clone()
    hidden[:, 4] = tokenizer.mask_id
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(120):
        loss = F.cross_entropy(model(hidden)[:, 4], token_ids[:, 4])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert torch.equal(model(hidden)[:, 4].argmax(-1), token_ids[:, 4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tiny()(torch.zeros(1, 13).long()), "at most 12 tokens, got 13"),
        (lambda: tiny()(torch.zeros(1, 3).long(), torch.ones(1, 3)), "torch.bool"),
        (lambda: tiny(vocabulary_size=0), "vocabulary_size: expected at least 1, got 0"),
        (lambda: tiny(num_decoder_heads=3), "num_decoder_heads = 3"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
