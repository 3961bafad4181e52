import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.pair_checks.likeness import NEAR_DUPLICATE, families, grams, key, overlap, repeats

PROMPTS = st.lists(st.text("ab ?", max_size=12) | st.text(max_size=6), max_size=12)


@settings(deadline=None)
@given(prompts=PROMPTS)
def test_the_sparse_product_agrees_with_comparing_each_with_each(prompts):
    sets = [grams(key(prompt)) for prompt in prompts]
    expected = [
        {at: overlap(sets[at], sets[n]) for at in range(n) if overlap(sets[at], sets[n]) >= NEAR_DUPLICATE}
        for n in range(len(sets))
    ]
    assert repeats(prompts) == expected


@settings(deadline=None)
@given(prompts=PROMPTS)
def test_families_are_what_near_duplicates_connect(prompts):
    groups = families(prompts)
    assert sorted(itertools.chain(*groups)) == list(range(len(prompts)))
    near = repeats(prompts)
    for later, earlier in itertools.combinations(range(len(prompts)), 2):
        if later in near[earlier] or earlier in near[later]:
            assert any({later, earlier} <= set(group) for group in groups)
    for group in groups:
        reached = {group[0]}
        while more := {i for i in group if i not in reached for j in reached if j in near[i] or i in near[j]}:
            reached |= more
        assert reached == set(group)


def test_blocks_join_without_a_seam():
    prompts = [f"Prompt {chr(97 + n % 26) * 9} {n}" for n in range(300)]
    prompts[290] = prompts[3]
    assert repeats(prompts)[290][3] == 1.0
