/** As Go's `%g`: with an exponent from a million on, and below a ten thousandth. */
export function shortestText(double: number): string {
  if (double === 0) return Object.is(double, -0) ? '-0' : '0';
  const [mantissa = '', power = ''] = Math.abs(double).toExponential().split('e');
  const exponent = Number(power);
  const sign = double < 0 ? '-' : '';
  if (exponent < -4 || exponent >= 6) {
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return sign + String(Math.abs(double));
}
