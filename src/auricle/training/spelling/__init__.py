"""Letters from phones, learnt from text: the part of a network that needs hardly any recordings to learn from.

A network hears what its recordings teach it, and twenty hours of them hold too few words to learn how English is spelt.
How it is spelt is in the books, without anybody saying it: a text's phones are known from a dictionary, and what the
network would make of them is put together from pieces of what it made of recordings (`sound`). A speller (`network`)
learns from both to write the text (`loop`), as unit selection once made speech from pieces of speech (Hunt & Black,
1996), and as text is given to the upper layers of recognisers (Thomas et al., 2022). A bundle has it as a file of its
own (`export`), which `auricle.spelling` reads.
"""
