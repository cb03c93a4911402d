import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";
import { EVERY } from "./stops";

faultMatrix("long work of the file driver", () => embeddedWorld("copies"), CASES.longWork, EVERY);
