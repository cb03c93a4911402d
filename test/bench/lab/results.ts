/** Who does it: we over SSH; on the host itself the bare limit, the same with one command after the other, a peer. */
const SIDES = ["ours", "limit", "shell", "cinder"] as const;
export type Side = (typeof SIDES)[number];

type Numbers = Record<string, Record<string, number>>;

/** What one run measured: seconds for all `n`, by side, operation and `n`. */
export class Results {
    private readonly rounds = new Map<string, number[]>();
    private readonly order: { operation: string; n: number }[] = [];
    /** Runs on the host that one warm operation takes. */
    readonly remoteRuns: Record<string, number> = {};

    add(side: Side, operation: string, n: number, seconds: number): void {
        const key = `${side} ${operation} ${String(n)}`;
        const known = this.rounds.get(key) ?? [];
        this.rounds.set(key, [...known, seconds]);
        if (!this.order.some((one) => one.operation === operation && one.n === n))
            this.order.push({ operation, n });
        console.log(
            `${side.padEnd(7)}${operation.padEnd(16)}${String(n).padStart(5)}${show(seconds).padStart(10)} s`,
        );
    }

    /** Seconds; the median of the rounds. */
    median(side: Side, operation: string, n: number): number | undefined {
        const all = [...(this.rounds.get(`${side} ${operation} ${String(n)}`) ?? [])].sort((a, b) => a - b);
        const [low, high] = [all[Math.floor((all.length - 1) / 2)], all[Math.ceil((all.length - 1) / 2)]];
        return low === undefined || high === undefined ? undefined : (low + high) / 2;
    }

    json() {
        const seconds = Object.fromEntries(
            SIDES.map((side) => [side, this.numbers((operation, n) => this.median(side, operation, n))]),
        );
        const against = (side: Side) =>
            this.numbers((operation, n) => {
                const [ours, other] = [this.median("ours", operation, n), this.median(side, operation, n)];
                return ours === undefined || other === undefined ? undefined : ours / other;
            });
        return {
            seconds,
            ratio: { limit: against("limit"), shell: against("shell"), cinder: against("cinder") },
            remoteRuns: this.remoteRuns,
        };
    }

    private numbers(of: (operation: string, n: number) => number | undefined): Numbers {
        const all: Numbers = {};
        for (const { operation, n } of this.order) {
            const value = of(operation, n);
            if (value !== undefined) (all[operation] ??= {})[String(n)] = Number(value.toPrecision(4));
        }
        return all;
    }

    /** A table in Markdown. */
    table(): string {
        const cell = (value: number | undefined, unit = "") =>
            value === undefined ? "" : `${show(value)}${unit}`;
        const rows = [...this.order]
            .sort((a, b) => this.rank(a.operation) - this.rank(b.operation) || a.n - b.n)
            .map(({ operation, n }) => {
                const [ours, limit, shell, cinder] = SIDES.map((side) => this.median(side, operation, n));
                const ratio = (other: number | undefined) =>
                    ours === undefined || other === undefined ? undefined : ours / other;
                return [
                    operation,
                    String(n),
                    cell(ours),
                    cell(limit),
                    cell(ratio(limit), " ×"),
                    cell(shell),
                    cell(ratio(shell), " ×"),
                    cell(cinder),
                    cell(cinder === undefined || ours === undefined ? undefined : cinder / ours, " ×"),
                ];
            });
        const head = [
            ...["operation", "n", "ours", "limit", "ours / limit", "shell", "ours / shell"],
            ...["Cinder", "Cinder / ours"],
        ];
        const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
        return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
    }

    private rank(operation: string): number {
        return this.order.findIndex((one) => one.operation === operation);
    }
}

function show(value: number): string {
    return value >= 100
        ? value.toFixed(0)
        : value >= 10
          ? value.toFixed(1)
          : value >= 0.1
            ? value.toFixed(2)
            : value.toFixed(3);
}
