import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";
import { EVERY } from "./stops";

const cases = [...CASES.creations, ...CASES.copies];
faultMatrix("the file driver where data is copied", () => embeddedWorld("copies"), cases, EVERY);
