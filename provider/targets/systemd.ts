import { raw, type Sh } from "../sh";

/** What units of systemd's need. */

/** Where units of the administrator's own go. */
export const UNIT_DIRECTORY = "/etc/systemd/system";

/** The link that enables a unit for every boot. */
export function wantedAtBoot(name: string): string {
    return `${UNIT_DIRECTORY}/multi-user.target.wants/${name}`;
}

/** What takes targets away as it starts or ends. */
export const TARGET_SERVICES = "tgt.service rtslib-fb-targetctl.service target.service nvmet.service";

/** Ends a script of a unit's, done, where systemd does not run the host, or we are not root. */
export const whereSystemdRuns: Sh = raw(`[ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] || exit 0`);

/** Shell function: seconds since the host was started, in `now`, without a process. */
export const UPTIME = `now() { read -r now rest < /proc/uptime; now=\${now%.*}; }`;

/** A word as unit files take it: quotes, specifiers and variables mean nothing in it. Source: systemd.syntax(7). */
export function systemdWord(text: string): string {
    return `"${text
        .replaceAll(/["\\]/g, "\\$&")
        .replaceAll("%", "%%")
        .replaceAll("$", () => "$$")}"`;
}
