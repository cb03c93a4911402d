import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";
import { EVERY } from "./stops";

const cases = [...CASES.exports.filter(({ title }) => !/^change/.test(title)), ...CASES.longExports];
faultMatrix("exports by tgt", () => embeddedWorld("copies"), cases, EVERY);
