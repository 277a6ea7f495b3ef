// A file of its own, so that a page which opens no drawer does not load one.

export { Drawer as default } from '@mantine/core'
