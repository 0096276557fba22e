from cycseq.errors import DataError, SettingsError, unknown_name


def test_a_typo_is_answered_with_the_nearest_name():
    error = unknown_name("contextaditive", "model", ["NoChange", "ContextAdditive"])
    assert isinstance(error, SettingsError)
    assert "did you mean 'ContextAdditive'?" in str(error)


def test_long_lists_are_cut_and_counted():
    message = str(unknown_name("x", "gene", [f"G{i}" for i in range(50)], DataError))
    assert message.endswith("G11 and 38 more.")
    assert "G49" not in message
