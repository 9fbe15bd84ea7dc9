"""Notes, checkpoints, cosignatures and proofs are spelled as C2SP has them, and nothing that was changed verifies."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ProofRefused
from privacy.keys import LogSigner
from privacy.notes import (
    BY_WITNESS,
    NoteKey,
    asked_for,
    checkpoint_note,
    checkpoint_of,
    cosignature,
    note_key,
    proof_text,
    read_asked_for,
    read_proof,
    signed_by,
)

# The key and the note that Go's sumdb/note, from which the format comes, is tested with.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = f"{GO_TEXT}\n— PeterNeumann {GO_SIGNATURE}\n"
# The example of the specification of tlog-checkpoint and tlog-cosignature.
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)

LOG, WITNESS = LogSigner(bytes(31) + b"\1"), LogSigner(bytes(31) + b"\2")
LOG_KEY, WITNESS_KEY = note_key("cdp/audit/cn", LOG), note_key("witness.example/w1", WITNESS, BY_WITNESS)
ROOT = bytes(range(32))
NOTE = checkpoint_note("cdp/audit/cn", 7, ROOT, LOG)
COSIGNED = NOTE + cosignature(checkpoint_of(NOTE).body, "witness.example/w1", 1679315147, WITNESS)


def test_keys_and_signatures_are_those_of_the_reference() -> None:
    signer = LogSigner(b64decode(GO_SECRET)[1:])
    key = NoteKey.read(GO_KEY)
    assert note_key("PeterNeumann", signer) == key
    assert key.text == GO_KEY
    assert signed_by(GO_NOTE, [key]) == {"PeterNeumann"}
    assert b64encode(key.key_id + signer.sign(GO_TEXT.encode())).decode() == GO_SIGNATURE


def test_the_example_of_the_specification_is_read() -> None:
    said = checkpoint_of(EXAMPLE)
    assert (said.origin, said.size, said.body) == (
        "example.com/behind-the-sofa",
        20852163,
        EXAMPLE.partition("\n\n")[0] + "\n",
    )
    assert signed_by(EXAMPLE, [LOG_KEY, WITNESS_KEY]) == set()


def test_a_checkpoint_is_three_lines_and_its_signatures() -> None:
    said = checkpoint_of(NOTE)
    assert NOTE.split("\n")[:4] == ["cdp/audit/cn", "7", b64encode(ROOT).decode(), ""]
    assert (said.origin, said.size, said.root) == ("cdp/audit/cn", 7, ROOT)
    assert checkpoint_of(COSIGNED) == said
    assert signed_by(COSIGNED, [LOG_KEY, WITNESS_KEY]) == {"cdp/audit/cn", "witness.example/w1"}
    assert signed_by(COSIGNED, [WITNESS_KEY]) == {"witness.example/w1"}
    assert signed_by(COSIGNED, []) == set()


def test_a_cosignature_is_of_a_text_with_its_time() -> None:
    raw = b64decode(COSIGNED.splitlines()[-1].split(" ")[2])
    assert raw[:4] == WITNESS_KEY.key_id
    assert int.from_bytes(raw[4:12], "big") == 1679315147
    assert raw[12:] == WITNESS.sign(f"cosignature/v1\ntime 1679315147\n{checkpoint_of(NOTE).body}".encode())
    # The same key under the other kind of signature is another key.
    assert note_key("witness.example/w1", WITNESS).key_id != WITNESS_KEY.key_id


@given(at=st.integers(0, len(COSIGNED.encode()) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_no_checkpoint_or_one_that_fewer_signed(at: int, bit: int) -> None:
    raw = bytearray(COSIGNED.encode())
    raw[at] ^= 1 << bit
    try:
        changed = raw.decode()
        signers = signed_by(changed, [LOG_KEY, WITNESS_KEY])
        said = checkpoint_of(changed)
    except (ProofRefused, UnicodeDecodeError):
        return
    # What is left is a name or an id that nobody knows; what was said stands for those whose signature is untouched.
    assert len(signers) < 2
    assert not signers or said == checkpoint_of(NOTE)


BODY = "log\n5\n" + b64encode(ROOT).decode() + "\n"
SIGNED = f"\n— log {b64encode(bytes(68)).decode()}\n"


@pytest.mark.parametrize(
    "note",
    [
        "",
        BODY,
        BODY + "\n",
        BODY + SIGNED.rstrip("\n"),
        BODY.replace("5", "05") + SIGNED,
        BODY.replace("5", "-5") + SIGNED,
        BODY.replace("5", "٥") + SIGNED,
        BODY.replace("=", "") + SIGNED,
        BODY.replace("log", "", 1) + SIGNED,
        BODY.replace("log", "l\0g", 1) + SIGNED,
        BODY + SIGNED.replace("—", "-"),
        BODY + SIGNED.replace("— log", "— l+g"),
        BODY + SIGNED.replace("— log ", "— log  "),
        BODY + f"\n— log {b64encode(bytes(4)).decode()}\n",
        BODY + SIGNED.rstrip("\n").ljust(70_000, "A") + "\n",
        BODY + "\n" + SIGNED.lstrip("\n") * 65,
    ],
)
def test_what_is_no_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(ProofRefused):
        checkpoint_of(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b",
        GO_KEY[:-1],
        GO_KEY.replace("c7", "c8"),
        GO_KEY.replace("Peter", "P ter"),
        "+".join(["a", "00000000", ""]),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ProofRefused):
        NoteKey.read(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "new\nline"])
def test_a_name_is_one_word(name: str) -> None:
    with pytest.raises(ProofRefused):
        note_key(name, LOG)


HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63)


@given(number=st.integers(0, 10**17), proof=HASHES, extra=st.binary(max_size=40))
def test_proofs_and_requests_come_back_as_they_were_written(number: int, proof: list[bytes], extra: bytes) -> None:
    assert read_proof(proof_text(number, proof, COSIGNED, extra)) == (number, proof, COSIGNED)
    assert read_asked_for(asked_for(number, proof, COSIGNED)) == (number, proof, COSIGNED)


def test_a_proof_is_spelled_as_the_specification_has_it() -> None:
    hashed = b64encode(ROOT).decode()
    assert proof_text(3, [ROOT], NOTE, b"x") == f"c2sp.org/tlog-proof@v1\nextra eA==\nindex 3\n{hashed}\n\n{NOTE}"
    assert asked_for(0, [], NOTE) == f"old 0\n\n{NOTE}"


@pytest.mark.parametrize(
    "text", ["", "old x\n\n", "old 01\n\n", "new 1\n\n", "old 1\nAAAA\n\n", "old 1\n" + "A\n" * 64 + "\n"]
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(ProofRefused):
        read_asked_for(text)


@pytest.mark.parametrize(
    "head",
    ["", "index 3", "c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v1\nindex 03", "c2sp.org/tlog-proof@v2\nindex 3"],
)
def test_what_is_no_proof_is_refused(head: str) -> None:
    with pytest.raises(ProofRefused):
        read_proof(f"{head}\n\n{NOTE}")
