// Numbers and times as text. The figures are tabular, so that they do not move while they count.

const grouped = new Intl.NumberFormat("en-US");
const precise = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** @param {number} value */
export const count = (value) => grouped.format(Math.round(value));

/** `1,840 ms`, and `0.42 ms` below ten. @param {number|null|undefined} value */
export function ms(value) {
  if (value === null || value === undefined) return "–";
  return `${Math.abs(value) < 10 && !Number.isInteger(value) ? precise.format(value) : grouped.format(Math.round(value))} ms`;
}

/** `23 s`, or `1.8 s` below ten. @param {number} value in ms */
export function seconds(value) {
  const all = value / 1000;
  return `${all < 10 ? Math.max(0, all).toFixed(1) : Math.round(all)} s`;
}

/** `24.99`. @param {number|null|undefined} cents */
export function price(cents) {
  return cents === null || cents === undefined ? "–" : precise.format(cents / 100);
}

/** `05:12:24.528`. @param {number} atMs */
export function clock(atMs) {
  return new Date(atMs).toISOString().slice(11, 23);
}

/** A share as `97 %`. @param {number|null} share */
export const percent = (share) => (share === null ? "–" : `${Math.round(share * 100)} %`);
