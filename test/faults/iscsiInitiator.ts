import * as iscsi from "../../tools/iscsi.mjs";
import { accountsOf, iqnOf, type Who } from "./access";
import type { World } from "./world";

type State = Parameters<World["login"]>[0];

/** libiscsi and QEMU on this machine as initiators; `at` gives how a portal is reached from here. */
export function iscsiInitiator(
    at: (portal: string) => string = (portal) => portal,
): Pick<World, "portals" | "login" | "capacity" | "readThrough"> {
    const lun = (state: State, who: Who, portal?: string): iscsi.Lun => {
        const { chap: _, ...open } = iscsi.lunOf(state.connection, iqnOf(who));
        const { chap } = accountsOf(who);
        return { ...open, portal: at(portal ?? open.portal), ...(chap === undefined ? {} : { chap }) };
    };
    return {
        portals: ({ connection: { data } }) =>
            (data["target_portals"] as string[] | undefined) ?? [String(data["target_portal"])],
        login: async (state, who, portal) => {
            const { mutual } = accountsOf(who);
            const answer = await iscsi.login({
                ...lun(state, who, portal),
                ...(mutual === undefined ? {} : { mutual }),
            });
            return answer.ok ? "" : answer.reason || "refused";
        },
        capacity: (state, who) => iscsi.capacity(lun(state, who)),
        readThrough: (state, who, length) => iscsi.read(lun(state, who), { offset: 0, length }),
    };
}
