// The page's words: what is said in one language is said in the other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../src/refusal.mjs";
import { WORDS, explain, speaker } from "../src/words.mjs";

const places = (sentence) => (sentence.match(/\{\w+\}/g) ?? []).sort();

test("English and Urdu have the same sentences with the same places to fill", () => {
  assert.deepEqual(Object.keys(WORDS.ur), Object.keys(WORDS.en));
  for (const key of Object.keys(WORDS.en))
    assert.deepEqual(places(WORDS.ur[key]), places(WORDS.en[key]), key);
});

test("a known reason is told in words, an unknown one with its code", () => {
  const say = speaker("en");
  assert.equal(
    explain(say, "en", new Refusal("recovery-key-wrong", "…")),
    "This is not the account's recovery key.",
  );
  assert.equal(
    explain(say, "en", new Refusal("no-such-thing", "gone")),
    "It did not work: no-such-thing: gone",
  );
});
