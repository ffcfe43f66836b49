/** The first position from here on that none of the gaps (`[from, to)` pairs, ascending) holds. */
export const firstOutside = (gaps: readonly number[], from: number): number => {
  let position = from
  for (let index = 0; index < gaps.length; index += 2)
    if ((gaps[index] as number) <= position && position < (gaps[index + 1] as number))
      position = gaps[index + 1] as number
  return position
}
