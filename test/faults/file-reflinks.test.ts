import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";
import { EVERY } from "./stops";

const shared = CASES.copies.filter(({ title }) => /larger|take|again/.test(title));
const cases = [...shared, ...CASES.ownership];
faultMatrix("the file driver where files share extents", () => embeddedWorld("reflinks"), cases, EVERY);
