import type { PoolPart } from "../types";
import type { LvmOptions } from "./options";

/** Selections (lvmreport(7)), which LVM evaluates under its own lock. */

/** The objects of some pools, and their thin pools. */
export function select(parts: readonly Required<PoolPart<LvmOptions>>[]): string {
    return parts
        .map(({ pool, only }) => {
            const { volumeGroup, thinPool } = pool.options;
            const names = [...new Set([...only, ...(thinPool === undefined ? [] : [thinPool])])];
            const any = names.map((name) => `lv_name="${name}"`).join("||");
            return `(vg_name="${volumeGroup}"&&(${any === "" ? "lv_size=0" : any}))`;
        })
        .join("||");
}

/** Just this logical volume, as long as it carries this tag. */
export function identity(uuid: string, tag: string): string {
    return `lv_uuid="${uuid}"&&lv_tags={"${tag}"}`;
}
