import type { Lab } from "../lab.mjs";

type LabHost = ReturnType<Lab["host"]>;

/** A watch ends when this file goes. */
export const NEEDLES = "/run/needles";
const SEEN = "/run/seen";
/** Not secret at all: shows that even what lives for a moment is seen. */
const CONTROL = "seen-on-a-command-line";
const MOMENT = `sleep 0.1; : ${CONTROL}`;

const WATCH = `chomp(my @needles = <STDIN>);
my $any = join "|", map { quotemeta } @needles;
$| = 1;
$/ = undef;
# Threads of the kernel are most of all processes, and have none.
my %kernel = map { $_ => 1 } grep { !readlink "/proc/$_/exe" } processes();
print "watching\\n";
while (-e "${NEEDLES}") {
    for my $id (grep { !$kernel{$_} } processes()) {
        open my $file, "<", "/proc/$id/cmdline" or next;
        my $line = <$file> // next;
        $line =~ tr/\\0\\n/  /;
        print "$line\\n" if $line =~ /$any/o and !$seen{$line}++;
    }
}
sub processes { opendir my $all, "/proc"; grep { /^[0-9]/ } readdir $all }`;

/**
 * Reads the command line of every process of a host, over and over, whoever starts it and by whatever path. What it looks
 * for is on no command line itself. A host has one processor, so what is watched takes twice as long.
 *
 * @returns Ends it, and returns the command lines with a needle in them.
 */
export async function watchCommandLines(
    host: LabHost,
    needles: readonly string[],
): Promise<() => Promise<string[]>> {
    await host.run(`umask 077
cat > ${NEEDLES} <<'BH_NEEDLES'
${[CONTROL, ...needles].join("\n")}
BH_NEEDLES
perl -e '${WATCH}' < ${NEEDLES} > ${SEEN} 2>&1 &
until [ -s ${SEEN} ]; do sleep 0.1; done`);
    return async () => {
        const { stdout } = await host.run(`sh -c '${MOMENT}'; rm ${NEEDLES}; cat ${SEEN}`);
        const [first, ...seen] = stdout.split("\n").map((line) => line.trimEnd());
        const control = `sh -c ${MOMENT}`;
        if (first !== "watching" || !seen.includes(control))
            throw new Error(`command lines were not seen: ${stdout}`);
        return seen.filter((line) => line !== control && line !== "");
    };
}
