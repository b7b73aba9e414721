from mmml.data.manifest import read_rows


def test_without_labels_a_row_without_a_file_is_of_the_class_of_its_text(tmp_path):
    table = ["image_file_name,text,id", "a.png,one,1", ",two,2", ",two,3", "a.png,,4", ",,5"]
    (tmp_path / "t.csv").write_text("\n".join(table))
    codes, names = read_rows(str(tmp_path / "t.csv"), "dataset.root", {}).classes()
    assert codes.tolist() == [0, 1, 1, 0, 2] and names.to_pylist() == ["a.png", "two", "5"]


def test_a_point_among_decimal_commas_is_no_decimal_point(tmp_path):
    (tmp_path / "t.csv").write_text("text;score\na;1,5\nb;1.234\nc;2\n")
    rows = read_rows(str(tmp_path / "t.csv"), "dataset.root", {})
    assert rows.column("score").to_pylist() == [1.5, None, 2] and rows.problems == {
        1: "its score is no number"
    }
    (tmp_path / "t.csv").write_text("text;score\na;1.5\nb;2\n")
    assert read_rows(str(tmp_path / "t.csv"), "dataset.root", {}).column("score").to_pylist() == [
        1.5,
        2,
    ]
