import * as iscsi from "../../../tools/iscsi.mjs";
import { CLIENT } from "../../support/client";
import type { As, Attached, ExportBackend } from "../exports";

const OTHER = `${CLIENT}-other`;
const PASSWORDS = { first: "Open-Sesame-123", second: "Another-Word-1", none: undefined } as const;

/**
 * libiscsi and QEMU as the initiator.
 *
 * @param reach how a portal of the host is reached from here
 */
export function libiscsi(reach: (portal: string) => string): Pick<ExportBackend, "declares" | "attach"> {
    return {
        // With tgt a user has one password in all exports, and to change it takes another name.
        declares: (secrets, user, other = false) => ({
            iqn: other ? OTHER : CLIENT,
            chap: { username: secrets === "first" ? user : `${user}-2`, password: PASSWORDS[secrets] },
        }),
        async attach(
            exported,
            { stranger = false, secrets = "first", other = false }: As,
        ): Promise<Attached> {
            const name = other ? OTHER : CLIENT;
            const { chap: _, ...target } = iscsi.lunOf(exported.connection, stranger ? `${name}2` : name);
            const password = PASSWORDS[secrets];
            const username = secrets === "second" ? `${exported.name}-2` : exported.name;
            const lun = {
                ...target,
                portal: reach(target.portal),
                ...(password === undefined ? {} : { chap: { username, password } }),
            };
            const tried = await iscsi.login(lun);
            if (!tried.ok) throw new Error(tried.reason);
            const readOnly = exported.connection.data["access_mode"] === "ro";
            const open = () => iscsi.openSession(lun, { readOnly });
            let session: Awaited<ReturnType<typeof open>> | undefined = await open();
            // In the session itself, which so is seen to be alive: after a change of secrets no new one would be let in.
            const inSession = (command: string) => {
                if (session === undefined) throw new Error("detached");
                return session.do(command);
            };
            return {
                holds: async (offset, length, byte) => {
                    try {
                        await inSession(`read -P ${String(byte)} ${String(offset)} ${String(length)}`);
                        return true;
                    } catch (error) {
                        if (/Pattern verification failed/.test(String(error))) return false;
                        throw error;
                    }
                },
                write: async (offset, length, byte) => {
                    // QEMU would refuse by itself what was opened for reading; it is the target that has to.
                    if (readOnly) return iscsi.write(lun, { offset, length, pattern: byte });
                    await inSession(`write -P ${String(byte)} ${String(offset)} ${String(length)}`);
                    await inSession("flush");
                },
                // QEMU asks for the size as it opens a disk.
                capacity: async () => {
                    const bytes = await iscsi.capacity(lun);
                    await session?.close();
                    session = await open();
                    return bytes;
                },
                detach: async () => {
                    const ending = session;
                    session = undefined;
                    await ending?.close();
                },
            };
        },
    };
}
