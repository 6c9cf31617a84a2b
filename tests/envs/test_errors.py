from __future__ import annotations

import pickle

from envs.errors import UnknownNameError


def test_close_matches_ignore_case_and_come_closest_first() -> None:
    error = UnknownNameError("fruit", "apple", ["Ample", "APPLE", "Pear", "Fig"])
    assert error.close_matches == ("APPLE", "Ample")
    assert str(error).startswith("unknown fruit 'apple': did you mean APPLE or Ample?")


def test_parts_of_names_match_and_nothing_matches_nothing() -> None:
    assert UnknownNameError("map", "Workers", ["maps/16x16/basesWorkers16x16A.xml"]).close_matches
    lost = UnknownNameError("map", "zzzz", ["one", "two"], hint="Try list_maps().")
    assert lost.close_matches == ()
    assert str(lost) == "unknown map 'zzzz': there are 2 names Try list_maps()."


def test_the_message_survives_pickling() -> None:
    error = UnknownNameError("fruit", "aple", ["Apple"])
    restored = pickle.loads(pickle.dumps(error))
    assert isinstance(restored, UnknownNameError)
    assert str(restored) == str(error)
