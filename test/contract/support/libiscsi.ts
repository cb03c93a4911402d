import * as iscsi from "../../../tools/iscsi.mjs";
import { CLIENT } from "../../support/client";
import type { As, Attached, ExportBackend } from "../exports";

const PASSWORDS = { first: "Open-Sesame-123", second: "Another-Word-1", none: undefined } as const;

/**
 * libiscsi and QEMU as the initiator.
 *
 * @param reach how a portal of the host is reached from here
 */
export function libiscsi(reach: (portal: string) => string): Pick<ExportBackend, "declares" | "attach"> {
    return {
        // With tgt a user has one password in all exports, and to change it takes another name.
        declares: (secrets, user) => ({
            iqn: CLIENT,
            chap: { username: secrets === "first" ? user : `${user}-2`, password: PASSWORDS[secrets] },
        }),
        async attach(exported, { stranger = false, secrets = "first" }: As): Promise<Attached> {
            const { chap: _, ...target } = iscsi.lunOf(exported.connection, stranger ? `${CLIENT}2` : CLIENT);
            const password = PASSWORDS[secrets];
            const username = secrets === "second" ? `${exported.name}-2` : exported.name;
            const lun = {
                ...target,
                portal: reach(target.portal),
                ...(password === undefined ? {} : { chap: { username, password } }),
            };
            const tried = await iscsi.login(lun);
            if (!tried.ok) throw new Error(tried.reason);
            // QEMU does not open what is read-only, so nobody stays logged in to that.
            if (exported.connection.data["access_mode"] === "ro") return readOnly(lun);
            let session: Awaited<ReturnType<typeof iscsi.openSession>> | undefined =
                await iscsi.openSession(lun);
            return {
                holds: async (offset, length, byte) => {
                    const asked = `read -P ${String(byte)} ${String(offset)} ${String(length)}`;
                    const said = await session?.do(asked).catch((error: unknown) => String(error));
                    if (said === undefined || /Pattern verification failed/.test(said)) return false;
                    if (/error/i.test(said)) throw new Error(said);
                    return true;
                },
                // In the session itself, which so is seen to be alive.
                write: async (offset, length, byte) => {
                    await session?.do(`write -P ${String(byte)} ${String(offset)} ${String(length)}`);
                    await session?.do("flush");
                },
                // QEMU asks for the size as it opens a disk.
                capacity: async () => {
                    const bytes = await iscsi.capacity(lun);
                    await session?.close();
                    session = await iscsi.openSession(lun);
                    return bytes;
                },
                detach: async () => {
                    const open = session;
                    session = undefined;
                    await open?.close();
                },
            };
        },
    };
}

function readOnly(lun: iscsi.Lun): Attached {
    return {
        holds: async (offset, length, byte) =>
            (await iscsi.read(lun, { offset, length })).equals(Buffer.alloc(length, byte)),
        write: (offset, length, byte) => iscsi.write(lun, { offset, length, pattern: byte }),
        capacity: () => iscsi.capacity(lun),
        detach: () => Promise.resolve(),
    };
}
