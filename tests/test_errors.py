from cycseq.errors import DataError, SettingsError, count_of, unknown_name, was


def test_a_typo_is_answered_with_the_nearest_name():
    error = unknown_name("contextaditive", "model", ["NoChange", "ContextAdditive"])
    assert isinstance(error, SettingsError)
    assert "did you mean 'ContextAdditive'?" in str(error)


def test_long_lists_are_cut_and_counted():
    message = str(unknown_name("x", "gene", [f"G{i}" for i in range(50)], DataError))
    assert message.endswith("G11 and 38 more.")
    assert "G49" not in message


def test_things_agree_with_their_number():
    assert [count_of(n, "context") for n in (0, 1, 2000)] == ["0 contexts", "1 context", "2,000 contexts"]
    assert count_of(1, "batch", "batches") == "1 batch"
    assert count_of(3, "batch", "batches") == "3 batches"
    assert (
        f"{count_of(1, 'cell')} {was(1)} dropped, {count_of(2, 'gene')} {was(2)} kept"
        == "1 cell was dropped, 2 genes were kept"
    )
