// Mantine in the colours and measures of `tokens.css`.

import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core'

const canh: MantineColorsTuple = [
  '#e6faf7',
  '#cdf1ec',
  '#9de3d9',
  '#69d4c5',
  '#3fc4b3',
  '#25ac9c',
  '#159184',
  '#0f766e',
  '#0c5f59',
  '#074a45',
]

/** The greys that Mantine takes for boxes and lines on dark. The last ones are `--canh-panel` and its neighbours. */
const dark: MantineColorsTuple = [
  '#d9dfe7',
  '#b9c2cd',
  '#98a3b1',
  '#5a6675',
  '#39424f',
  '#2a323d',
  '#10141a',
  '#14181e',
  '#0f1318',
  '#0b0e12',
]

export const theme = createTheme({
  colors: { canh, dark },
  primaryColor: 'canh',
  primaryShade: { light: 7, dark: 7 },
  fontFamily: 'var(--canh-font)',
  fontFamilyMonospace: 'var(--canh-mono)',
  defaultRadius: 6,
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '18px' },
  headings: { fontFamily: 'var(--canh-font)', fontWeight: '620' },
  components: {
    Tooltip: { defaultProps: { withArrow: false, fz: 12, maw: 360, multiline: true, openDelay: 300 } },
    Button: { defaultProps: { size: 'xs' } },
    // Nothing to hit is smaller than 24 pixels. Source: WCAG 2.2, success criterion 2.5.8.
    ActionIcon: {
      defaultProps: { variant: 'subtle', color: 'gray' },
      vars: (_theme: unknown, { size }: { size?: unknown }) => ({ root: size === 'sm' ? { '--ai-size': '24px' } : {} }),
    },
    CloseButton: { defaultProps: { size: 24, iconSize: 14 } },
    TextInput: { defaultProps: { size: 'xs' } },
    PasswordInput: { defaultProps: { size: 'sm' } },
    Select: { defaultProps: { size: 'xs', allowDeselect: false } },
    Textarea: { defaultProps: { size: 'xs' } },
    SegmentedControl: { defaultProps: { size: 'xs', withItemsBorders: false, bg: 'var(--canh-hover)' } },
    Drawer: { defaultProps: { transitionProps: { duration: 120 } } },
    Modal: { defaultProps: { centered: true, transitionProps: { duration: 120 } } },
    Menu: { defaultProps: { shadow: 'md', position: 'bottom-end', transitionProps: { duration: 80 } } },
    Popover: { defaultProps: { shadow: 'md', transitionProps: { duration: 80 } } },
  },
})

export const cssVariables: CSSVariablesResolver = () => {
  const shared = {
    '--mantine-color-body': 'var(--canh-panel)',
    '--mantine-color-text': 'var(--canh-text)',
    '--mantine-color-dimmed': 'var(--canh-text-dim)',
    '--mantine-color-placeholder': 'var(--canh-text-dim)',
    '--mantine-color-default': 'var(--canh-panel-raised)',
    '--mantine-color-default-hover': 'var(--canh-hover)',
    '--mantine-color-default-color': 'var(--canh-text)',
    '--mantine-color-default-border': 'var(--canh-border-strong)',
    '--mantine-color-anchor': 'var(--canh-accent-text)',
    '--mantine-color-error': 'var(--canh-bad)',
    '--mantine-color-gray-light-color': 'var(--canh-text-dim)',
    '--mantine-color-canh-light': 'var(--canh-accent-soft)',
    '--mantine-color-canh-light-color': 'var(--canh-accent-text)',
    '--mantine-color-canh-text': 'var(--canh-accent-text)',
  }
  return { variables: {}, light: shared, dark: shared }
}

export const SCHEME_STORAGE_KEY = 'canh.theme'
