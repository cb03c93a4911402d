import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";
import { EVERY } from "./stops";

const full = [...CASES.creations, ...CASES.copies];
const cases = full.filter(({ title }) => /^create|extend/.test(title));
faultMatrix("the file driver, thick", () => embeddedWorld("thick"), cases, EVERY);
