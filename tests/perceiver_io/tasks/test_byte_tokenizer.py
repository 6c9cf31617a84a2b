import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perceiver_io.tasks import ByteTokenizer


@given(st.text())
def test_decoding_undoes_encoding(text):
    tokenizer = ByteTokenizer()
    token_ids = tokenizer.encode(text)
    assert tokenizer.decode(token_ids) == text
    assert len(token_ids) == len(text.encode()) + 2
    assert torch.equal(tokenizer.encode(text, add_special_tokens=False), token_ids[1:-1])


def test_ids_are_those_of_the_published_model():
    tokenizer = ByteTokenizer()
    assert tokenizer.vocabulary_size == 262
    assert tokenizer.encode("a é").tolist() == [4, 103, 38, 201, 175, 5]
    transformers = pytest.importorskip("transformers")
    library = transformers.PerceiverTokenizer()
    text = "Bytes: ß, 漢, \x00."
    assert tokenizer.encode(text).tolist() == library(text).input_ids
    for name in ("pad", "bos", "eos", "mask", "cls", "sep"):
        assert getattr(tokenizer, f"{name}_id") == getattr(library, f"{name}_token_id")


def test_batches_are_padded():
    token_ids, token_mask = ByteTokenizer().encode_batch(["ab", ""])
    assert token_ids.tolist() == [[4, 103, 104, 5], [4, 5, 0, 0]]
    assert token_mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert ByteTokenizer().encode_batch([], length=3)[0].shape == (0, 3)


def test_invalid_bytes_are_replaced_and_special_tokens_left_out():
    assert ByteTokenizer().decode([4, 0xFF + 6, 3, 0x41 + 6, 0]) == "\ufffdA"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ByteTokenizer().encode_batch(["abc"], length=4), "at most 4 tokens, got 5"),
        (lambda: ByteTokenizer().decode([262]), "below 262, got 262 to 262"),
        (lambda: ByteTokenizer().decode(torch.tensor([-1, 7])), "got -1 to 7"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
