// The mark of the product: an eye that is also a watch hand.

export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden focusable="false">
      <rect width="32" height="32" rx="8" fill="#0f766e" />
      <path
        d="M5.500 16c2.800-4.700 6.300-7 10.500-7s7.700 2.300 10.500 7c-2.800 4.700-6.300 7-10.500 7S8.300 20.700 5.500 16Z"
        fill="none"
        stroke="#fff"
        strokeWidth="2.400"
        strokeLinejoin="round"
      />
      <path d="M16 16 20.600 11.400" stroke="#fff" strokeWidth="2.400" strokeLinecap="round" />
      <circle cx="16" cy="16" r="2.900" fill="#fff" />
    </svg>
  )
}
