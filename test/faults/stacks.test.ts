import { embeddedWorld } from "./embeddedWorld";
import { describeStacks } from "./stacks";

describeStacks(() => embeddedWorld("copies"));
