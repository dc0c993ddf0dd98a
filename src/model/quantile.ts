// Exact quantiles of many numbers without sorting them.

/**
 * Nearest-rank quantile of `values[from..to)`, which are put in another order. q in 0..1; 0 for an empty range.
 * Quickselect with the middle of three as pivot (Hoare 1961; Floyd and Rivest's bounds hold in the mean): O(n).
 */
export function selectQuantile(values: Float64Array, q: number, from = 0, to: number = values.length): number {
  if (to <= from) return 0;
  const target = from + Math.max(0, Math.ceil(q * (to - from)) - 1);
  let low = from;
  let high = to - 1;
  while (low < high) {
    const pivot = toMedian(values[low]!, values[(low + high) >> 1]!, values[high]!);
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const swapped = values[i]!;
      values[i] = values[j]!;
      values[j] = swapped;
      i++;
      j--;
    }
    if (target <= j) high = j;
    else if (target >= i) low = i;
    else break;
  }
  return values[target]!;
}

function toMedian(a: number, b: number, c: number): number {
  if (a < b) {
    if (b < c) return b;
    return a < c ? c : a;
  }
  if (a < c) return a;
  return b < c ? c : b;
}
