def test_small_data_has_its_conditions(small_data):
    assert len(small_data.conditions()) == 15
    assert small_data.scale == "log1p"
