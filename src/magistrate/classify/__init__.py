"""Content to findings: the always-on tier and the trained models, pure functions of text.

*Label*: what was found, in a dotted taxonomy (``pii.email``) mapped to regulations.
*Rule*: a trigger for the automaton, a precise pattern behind it, a validator behind that, and examples for each.
*Scanner*: all rules over all parts of an exchange in one pass. *Finding*: a label on a span, never the value.
*View*: a spelling undone (zero-width, full-width, look-alike characters, escapes) with its way back to the original.
*Encodings*: texts inside a text (base64, hexadecimal, letters spaced out).
*Matcher*: a search of the reader's own: patterns, and dictionaries of which only keyed hashes are kept.
*Inspector*: the same rules over a text that arrives in pieces; it releases what can no longer become part of a match.
*Sink*: the target of a link or an image in an answer; a *lexer* finds them, a *host list* says where they may lead.
*Token*: what stands for a value and, for who has the *table*, leads back to it. *Restorer*: tokens back to values, in pieces too.
*Surrogate*: a token in the value's own format.
*Artefact*: a trained model as a flat file; its digest is its version. *Model tier*: the models over what they read, until
time runs out; *grams* are what they see of a text, *spellings* the disguises undone before.

A value's span begins at the value; context is looked for behind it only. So what comes later can make a value longer but
never turns a released text into a finding, and the streamed verdict equals the verdict on the whole.
"""
