from interp_steer.words import ngrams, sentences, tokens, words


def test_words_keep_inner_apostrophes_and_hyphens():
    assert words("I can’t, it's a five-year-old's toy - OK?") == [
        "i",
        "can't",
        "it's",
        "a",
        "five-year-old's",
        "toy",
        "ok",
    ]


def test_unspaced_scripts_count_by_character():
    assert words("日本 is 2 words") == ["日", "本", "is", "2", "words"]


def test_tokens_add_every_mark():
    assert tokens("No... why?") == ["no", ".", ".", ".", "why", "?"]


def test_sentences_end_at_marks_and_lines():
    assert sentences("One. Two! “Three?” Four\nfive 3.5 m") == ["One.", "Two!", "“Three?”", "Four", "five 3.5 m"]
    assert sentences("你好。再见。") == ["你好。", "再见。"]
    assert sentences("1. Boil it.\n2.\n---") == ["Boil it."]


def test_ngrams_overlap():
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert ngrams(["a"], 2) == []
