import { fileDriver } from "./file";
import { lvmDriver } from "./lvm";
import type { Driver } from "./types";

/** Every driver there is; a new one is a folder and a line here. */
const DRIVERS: readonly Driver[] = [fileDriver, lvmDriver];

const BY_NAME = new Map(DRIVERS.map((driver) => [driver.name, driver]));

export function findDriver(name: string): Driver | undefined {
    return BY_NAME.get(name);
}

export function driverNames(): string[] {
    return [...BY_NAME.keys()];
}
